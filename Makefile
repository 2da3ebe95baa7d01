# make demo and make test need Python 3.11 or newer and make; everything else goes into .venv.
PYTHON ?= python3
EXTRAS ?= dev
VENV := .venv
RUN := $(VENV)/bin/python
# Two workers: compilation dominates, and two cores is what one can count on.
WORKERS ?= 2

.PHONY: demo test lint types bench figures clean

demo: $(VENV)/.installed
	$(RUN) -m experiments sgd-vs-sde

test: $(VENV)/.installed
	$(RUN) -m pytest -n $(WORKERS) --dist worksteal

lint: $(VENV)/.installed
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m pyright

bench: $(VENV)/.installed-bench
	$(RUN) -m experiments bench

# Redraws the figures that the README shows.
figures: $(VENV)/.installed
	$(RUN) -m experiments sgd-vs-sde --figure experiments/figures/sgd_vs_sde.svg
	$(RUN) -m experiments sgd-vs-sde --model f2 --data mnist5k --figure experiments/figures/f2.svg
	$(RUN) -m experiments sgd-vs-sde --model c1 --data mnist5k --figure experiments/figures/c1.svg
	$(RUN) -m experiments weak-order --figure experiments/figures/weak_order.svg
	$(RUN) -m experiments basin-occupancy --figure experiments/figures/basin_occupancy.svg
	$(RUN) -m experiments stationary-loss --figure experiments/figures/stationary_loss.svg
	$(RUN) -m experiments escape-times --figure experiments/figures/escape_times.svg
	$(RUN) -m experiments real-basins --figure experiments/figures/real_basins.svg
	$(RUN) -m experiments batch-size --figure experiments/figures/batch_size.svg
	$(RUN) -m experiments batch-size --data fashion_mnist --figure experiments/figures/batch_size_fashion.svg

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --constraint constraints.txt --editable '.[$(EXTRAS)]'
	touch $@

$(VENV)/.installed-bench: $(VENV)/.installed
	$(RUN) -m pip install --quiet --constraint constraints.txt --editable '.[$(EXTRAS),bench]'
	touch $@

clean:
	rm -rf $(VENV)
