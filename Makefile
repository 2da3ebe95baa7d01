# make demo and make test need Python 3.11 or newer and make; everything else goes into .venv.
PYTHON ?= python3
EXTRAS ?= dev
VENV := .venv
RUN := $(VENV)/bin/python
# Two workers: compilation dominates, and two cores is what one can count on.
WORKERS ?= 2

.PHONY: help demo test test-all lint format bench figures clean

help:
	@echo "make demo       one comparison of SGD with its SDE, three minutes"
	@echo "make test       the tests that take a few minutes in all"
	@echo "make test-all   every test, the slow ones among them"
	@echo "make lint       style, format and types"
	@echo "make format     the format, and what style can be mended without asking"
	@echo "make bench      what a step costs, as ratios"
	@echo "make figures    the figures of the README, an hour and a half"
	@echo "make clean      away with the environment"

demo: $(VENV)/.installed
	$(RUN) -m experiments sgd-vs-sde

test: $(VENV)/.installed
	$(RUN) -m pytest -n $(WORKERS) --dist worksteal -m "not slow"

# The slow tests go without the runtime checks of types, which the others make and which take half of the time.
test-all: test
	$(RUN) -m pytest -n $(WORKERS) --dist worksteal -m slow -o addopts="--import-mode=importlib --strict-markers"

format: $(VENV)/.installed
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .

lint: $(VENV)/.installed
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m pyright

bench: $(VENV)/.installed-bench
	$(RUN) -m experiments bench

# Redraws the figures that the README shows, and writes their numbers beside them, which tests hold the README against.
figures: $(VENV)/.installed
	$(RUN) -m experiments sgd-vs-sde --figure experiments/figures/sgd_vs_sde.svg
	$(RUN) -m experiments._shared.figure_summaries experiments/figures/sgd_vs_sde.svg results/sgd-vs-sde
	$(RUN) -m experiments sgd-vs-sde --model f2 --data mnist5k --figure experiments/figures/f2.svg
	$(RUN) -m experiments._shared.figure_summaries experiments/figures/f2.svg results/sgd-vs-sde
	$(RUN) -m experiments sgd-vs-sde --model c1 --data mnist5k --figure experiments/figures/c1.svg
	$(RUN) -m experiments._shared.figure_summaries experiments/figures/c1.svg results/sgd-vs-sde
	$(RUN) -m experiments weak-order --figure experiments/figures/weak_order.svg
	$(RUN) -m experiments._shared.figure_summaries experiments/figures/weak_order.svg results/weak-order
	$(RUN) -m experiments basin-occupancy --figure experiments/figures/basin_occupancy.svg
	$(RUN) -m experiments._shared.figure_summaries experiments/figures/basin_occupancy.svg results/basin-occupancy
	$(RUN) -m experiments basin-occupancy --tilts skewed --batch-size 1 --figure experiments/figures/basin_occupancy_skewed.svg
	$(RUN) -m experiments._shared.figure_summaries experiments/figures/basin_occupancy_skewed.svg results/basin-occupancy
	$(RUN) -m experiments stationary-loss --figure experiments/figures/stationary_loss.svg
	$(RUN) -m experiments._shared.figure_summaries experiments/figures/stationary_loss.svg results/stationary-loss
	$(RUN) -m experiments escape-times --figure experiments/figures/escape_times.svg
	$(RUN) -m experiments._shared.figure_summaries experiments/figures/escape_times.svg results/escape-times
	$(RUN) -m experiments real-basins --figure experiments/figures/real_basins.svg
	$(RUN) -m experiments._shared.figure_summaries experiments/figures/real_basins.svg results/real-basins
	$(RUN) -m experiments batch-size --figure experiments/figures/batch_size.svg
	$(RUN) -m experiments._shared.figure_summaries experiments/figures/batch_size.svg results/batch-size
	$(RUN) -m experiments batch-size --data fashion_mnist --figure experiments/figures/batch_size_fashion.svg
	$(RUN) -m experiments._shared.figure_summaries experiments/figures/batch_size_fashion.svg results/batch-size

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --constraint constraints.txt --editable '.[$(EXTRAS)]'
	touch $@

$(VENV)/.installed-bench: $(VENV)/.installed
	$(RUN) -m pip install --quiet --constraint constraints.txt --editable '.[$(EXTRAS),bench]'
	touch $@

clean:
	rm -rf $(VENV)
