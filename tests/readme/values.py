"""The numbers of the README's sentences, as functions of the summaries stored beside its figures.

What a sentence says in words, an order or a direction, is asserted on the way.
"""


def signed(value: float, digits: int = 1) -> str:
    return f"{value:+.{digits}f}".replace("-", "−")


# -- sgd-vs-sde ----------------------------------------------------------------------------------------------


def gap(summary: dict, name: str, part: str = "total") -> str:
    """Mean ± half of the 95 % interval, where the two are least alike."""
    judged = summary["observables"][name]
    mean, low, high = (judged[part][key][judged["worst_time"]] for key in ("mean", "low", "high"))
    return f"{mean:.2f} ± {(high - low) / 2:.2f}"


def demo(s: dict) -> dict[str, str]:
    train = s["observables"]["train_loss"]
    worst, (look,) = train["worst"], s["looks"]
    assert s["ended"] == "decided"
    return {
        "eta": f"{s['config']['learning_rate']:g}",
        "step": str(worst["step"]),
        "train": f"{worst['mean']:.2f}",
        "interval": f"[{worst['low']:.2f}, {worst['high']:.2f}]",
        "train_eta": gap(s, "train_loss", "discretisation"),
        "times": str(len(train["total"]["mean"]) - 1),
        "sgd": str(look[0]),
        "pairs": str(look[1]),
    }


# -- the nets of the literature ------------------------------------------------------------------------------


def _net(s: dict) -> dict[str, str]:
    """What is said of F2 and C1 alike."""
    config, train = s["config"], s["observables"]["train_loss"]
    means = {name: judged["h_against_half"]["mean"] for name, judged in s["observables"].items()}
    _, name, k = max((abs(m), name, k) for name, found in means.items() for k, m in enumerate(found) if m is not None)
    part = s["observables"][name]["h_against_half"]
    low, high = part["low"][k], part["high"][k]
    assert max(-low, high) > config["margin"]  # not resolved
    return {
        "width": str(config["width"]),
        "N": str(config["num_examples"]),
        "eta": f"{config['learning_rate']:g}",
        "S": str(config["batch_size"]),
        "replicas": str(config["replicas"]),
        "steps": str(config["num_steps"]),
        "substeps": str(config["substeps"]),
        "gap": gap(s, "train_loss"),
        "step": str(train["worst_time"] * config["save_every"]),
        "times": str(len(train["total"]["mean"]) - 1),
        "half": f"{part['mean'][k]:.2f} ± {(high - low) / 2:.2f}".replace("-", "−"),
    }


def _kinds(s: dict) -> dict[str, str]:
    return {name: judged["kind"] for name, judged in s["observables"].items()}


def f2(s: dict) -> dict[str, str]:
    train, kinds = s["observables"]["train_loss"], _kinds(s)
    share = train["non_gaussianity"]["mean"][train["worst_time"]] / train["total"]["mean"][train["worst_time"]]
    assert 0.5 < share < 0.67
    assert kinds["train_loss"] == kinds["test_accuracy"] == kinds["distance_squared"] == "different"
    return _net(s)


def c1(s: dict) -> dict[str, str]:
    kinds = _kinds(s)
    undecided = [name for name, kind in kinds.items() if kind == "inconclusive"]
    assert undecided == ["train_loss", "distance_squared"]
    needed = [s["observables"][name]["replicas_needed"] for name in undecided]
    equivalent = str(list(kinds.values()).count("equivalent"))
    return _net(s) | {"equivalent": equivalent, "needed": " and ".join(map(str, needed))}


# -- weak-order ----------------------------------------------------------------------------------------------


def orders(s: dict) -> dict[str, str]:
    found = s["comparisons"]
    slopes = {"sgd_order1": 1, "sgd_order2": 2, "sgd_flow": 1, "variance_order1": 1, "svag": 1}
    slopes |= {"momentum_order1": 0.5, "momentum_order2": 1}
    for name, slope in slopes.items():  # the orders in words
        assert (found[name]["status"], found[name]["expected"]) == ("met", slope)
    last = min(range(len(found["sgd_flow"]["x"])), key=found["sgd_flow"]["x"].__getitem__)
    assert all(abs(error - 1) < 1e-4 for error in s["without_noise"]["variance"]["error"])  # gradient flow has none
    assert min(s["without_noise"]["svag"]["error"]) > 10 * min(found["svag"]["error"])
    error = {name: found[name]["error"][last] for name in found if found[name]["panel"] in ("circle", "variance")}
    return {
        "farther": f"{error['sgd_flow'] / error['sgd_order1']:.1f}",
        "eta": f"{found['sgd_flow']['x'][last]:g}",
        "first": f"{100 * error['variance_order1']:.2f}",
        "second": f"{100 * error['variance_order2']:.2f}",
    }


def parabola(s: dict) -> dict[str, str]:
    found = s["comparisons"]
    k = found["stationary_order1"]["x"].index(min(found["stationary_order1"]["x"]))
    error = {name: found[name]["error"][k] for name in found if name.startswith("stationary")}
    assert abs(error["stationary_order2"] / error["stationary_order1"] - 2) < 0.02
    assert abs(error["stationary_momentum2"] / error["stationary_momentum1"] - 1) < 1e-3
    return {}


# -- where SGD ends up ---------------------------------------------------------------------------------------


def well(s: dict) -> dict:
    (row,) = [t for t in s["temperatures"] if t["temperature"] == s["shown_temperature"]]
    return row


def occupancy(s: dict) -> dict[str, str]:
    row, A = well(s), s["shown_basin"]
    measured, verdict = row["measured"]["SGD"], row["verdicts"][A]
    return {
        "eta": f"{s['learning_rate']:g}",
        "S": str(s["config"]["batch_size"]),
        "T": f"{s['shown_temperature']:g}",
        "sgd": f"{100 * measured['probabilities'][A]:.1f} ± {196 * measured['standard_errors'][A]:.1f}",
        "gibbs": f"{100 * row['theory']['gibbs'][A]:.1f}",
        "exact": f"{100 * row['exact']['SGD'][A]:.1f}",
        "finite": signed(100 * verdict["parts"]["finite steps"]),
        "skew": signed(100 * verdict["parts"]["non-Gaussian batches"]),
        "power": f"{s['powers']['arms']['SGD']['order']:.2f}",
    }


def skewed(s: dict) -> dict[str, str]:
    row, A = well(s), s["shown_basin"]
    verdict = row["verdicts"][A]
    gaussian = row["exact"]["Gaussian SGD"][A] - row["theory"]["gibbs"][A]
    assert abs(gaussian) < 0.05 * abs(verdict["gap"])
    return {
        "S": str(s["config"]["batch_size"]),
        "gap": f"{signed(100 * verdict['gap'])} ± {100 * verdict['half_width']:.1f}",
        "power": f"{s['powers']['arms']['SGD']['order']:.2f}",
        "gaussian": signed(100 * gaussian),
    }


def rare(s: dict) -> dict[str, str]:
    row, A = well(s), s["shown_basin"]
    exact = {arm: 100 * p[A] for arm, p in row["exact"].items()}
    gaussian, sde = abs(exact["SGD"] - exact["Gaussian SGD"]), abs(exact["SGD"] - exact["SDE"])
    assert gaussian > sde
    return {"T": f"{s['shown_temperature']:g}", "gaussian": f"{gaussian:.1f}", "sde": f"{sde:.1f}"}


def traces(s: dict) -> dict[str, str]:
    ratio = {name: case["trace_hessian"] / case["trace_covariance"] for name, case in s["cases"].items()}
    quadratic = [1 / ratio[f"quadratic-{kind}"] for kind in ("equal", "commuting", "crossed")]
    assert [round(r, 6) for r in quadratic] == [1, 2, 4]
    points = [point for case in s["cases"].values() if case["exact"] for point in case["points"]]
    return {
        "regression": f"{ratio['regression']:.1f}",
        "logistic": f"{ratio['logistic']:.0f}",
        "net": f"{ratio['net']:.0f}",
        "within": f"{100 * max(abs(p['SGD']['mean'] / p['sgd_law'] - 1) for p in points):.1f}",
        "times": f"{max(p['sgd_law'] / p['trace_covariance'] for p in points):.1f}",
    }


def escapes(s: dict) -> dict[str, str]:
    row = max(s["rows"], key=lambda row: row["ratio"])
    exact = {arm: found["exact"] / row["kramers"] for arm, found in row["arms"].items()}
    assert s["worst"] < 3  # measured times agree with the exact ones
    return {
        "short": f"{100 * (1 - 1 / exact['SDE']):.0f}",
        "ratio": f"{row['ratio']:g}",
        "eta": f"{s['config']['learning_rate']:g}",
        "S": str(s["config"]["batch_size"]),
        "times": f"{exact['SGD']:.1f}",
    }


def real_basins(s: dict) -> dict[str, str]:
    sine, digits = s["problems"]["sine"], s["problems"]["digits"]
    rows = [row for problem in (sine, digits) for row in problem["occupancy"]]
    controls = [row for row in rows if "isotropic" in row["gaps"]]
    agree, differ = (
        [r for r in controls if r["gaps"]["isotropic"]["kind"] == kind] for kind in ("equivalent", "different")
    )
    for row in agree:  # within its errors, not only within the margin
        found = row["gaps"]["isotropic"]
        assert all(abs(d) <= half for d, half in zip(found["difference"], found["half_width"], strict=True))
    (odd,) = differ
    worst = odd["gaps"]["isotropic"]["worst"]
    assert odd in sine["occupancy"]
    assert sine["basins"][worst]["name"] == "B"
    laplace = [
        abs(p - q) for row in controls for p, q in zip(row["laplace"], row["nuts"]["probabilities"], strict=True)
    ]
    softest = [basin["noise"]["softest"] for problem in (sine, digits) for basin in problem["basins"]]
    (mixed,) = [row for row in digits["occupancy"] if row["verdicts"]["SDE"] == "different"]
    assert digits["basins"][0]["loss"] == min(basin["loss"] for basin in digits["basins"])
    early, late = [], {}
    for problem in (sine, digits):
        *small, last = sorted(problem["arrivals"], key=lambda row: row["ratio"])
        early += [abs(d) for row in small for arm in row["arms"].values() for d in arm["less_flow"]["difference"]]
        late[problem["title"]] = last["arms"]["SGD"]["less_flow"]
    gained = late[sine["title"]]
    share = lambda arm: f"{100 * arm['probabilities'][0]:.1f} ± {196 * arm['standard_errors'][0]:.1f}"  # noqa: E731
    return {
        "error": f"{100 * max(half for row in controls for half in row['gaps']['isotropic']['half_width']):.1f}",
        "agree": str(len(agree)), "mix": str(len(controls)), "odd": f"{odd['ratio']:g}",
        "less": f"{-100 * odd['gaps']['isotropic']['difference'][worst]:.1f} ± "
        f"{100 * odd['gaps']['isotropic']['half_width'][worst]:.1f}",
        "laplace": f"{100 * max(laplace):.0f}", "softest": f"{100 * min(softest):.1f} to {100 * max(softest):.1f}",
        "ratio": f"{mixed['ratio']:g}", "sgd": share(mixed["arms"]["SGD"]), "sde": share(mixed["arms"]["SDE"]),
        "gibbs": share(mixed["nuts"]), "control": share(mixed["arms"]["isotropic"]),
        "dead": f"{100 * odd['arms']['SGD']['collapsed']:.0f}", "early": f"{100 * max(early):.1f}",
        "gain": f"{100 * gained['difference'][1]:.1f} ± {100 * gained['half_width'][1]:.1f}",
    }  # fmt: skip


# -- batch size ----------------------------------------------------------------------------------------------


def setting(s: dict) -> dict[str, str]:
    config, sizes = s["config"], s["sizes"]
    side = round(sizes["features"] ** 0.5)
    return {
        "side": str(side), "width": str(config["width"]), "steps": f"{sizes['budget_size']:,}",
        "runs": str(config["seeds"]),
    }  # fmt: skip


def slope(s: dict, name: str) -> str:
    found = s["fit"]["quantities"][name]
    return f"{found['median']:.2f} [{found['low']:.2f}, {found['high']:.2f}]"


def exponents(s: dict) -> dict[str, str]:
    found, config = s["fit"]["quantities"], s["config"]
    rates, sizes = ([float(x) for x in config[name].split(",")] for name in ("learning_rates", "examples"))
    assert found["alpha"]["high"] < 1
    assert found["beta"]["high"] < 0.5
    assert found["gamma"]["low"] < 1 < found["gamma"]["high"]
    assert max(sizes) / min(sizes) == 8
    assert not s["fit"]["trouble"]
    momenta = [float(x) for x in config["momenta"].split(",")]
    return {
        "alpha": slope(s, "alpha"), "beta": slope(s, "beta"), "gamma": slope(s, "gamma"),
        "span": f"{max(rates) / min(rates):.0f}", "growth": f"{8 ** found['beta']['median']:.1f}",
        "least": f"{min(momenta):g}", "most": f"{max(momenta):g}",
    }  # fmt: skip


def edge(s: dict) -> dict[str, str]:
    """How often the best sampled batch is the smallest that trains, and how often the next one."""
    found = []
    for series in s["series"]:
        trained = [c["batch_size"] for c in series["cells"] if c["train_loss"] is not None and c["train_loss"] < 0.01]
        found.append(series["best"]["batch_size"] / min(trained))
    assert set(found) == {1, 2}
    return {"same": str(found.count(1)), "series": str(len(found)), "next": str(found.count(2))}


def laws(s: dict) -> dict[str, str]:
    found = s["comparison"]
    assert found["verdict"] == "power"
    return {
        "difference": signed(found["difference"]), "error": f"{found['standard_error']:.1f}",
        "series": str(len(s["series"])),
    }  # fmt: skip


def left_out(s: dict) -> dict[str, str]:
    cells = [cell for series in s["series"] for cell in series["cells"]]
    assert not any(cell["diverged"] for cell in cells)
    return {
        "failed": str(sum(cell["failed"] for cell in cells)), "runs": str(sum(cell["runs"] for cell in cells)),
        "most": str(max(cell["batch_size"] for cell in cells if cell["failed"])), "tests": f"{s['num_test']:,}",
        "sizes": str(len(s["config"]["examples"].split(","))),
    }  # fmt: skip


def noise(s: dict) -> dict[str, str]:
    """Of both noise scales, at the end of a run, over B_opt; to the nearest ten."""
    ends = [
        max(series["noise"], key=lambda point: point["step"])[name] / series["peak"]["median"]
        for series in s["series"]
        for name in ("simple", "noise")
    ]
    return {"low": f"{round(min(ends), -1):.0f}", "high": f"{round(max(ends), -1):.0f}"}


def fashion(s: dict) -> dict[str, str]:
    sizes = [int(x) for x in s["config"]["examples"].split(",")]
    best = {series["num_examples"]: series["best"] for series in s["series"]}
    assert best[max(best)]["censored"] == "high"
    assert not s["fit"]["trouble"]
    *inside, last = [str(best[n]["batch_size"]) for n in sorted(best)]
    return {
        "least": f"{min(sizes):,}",
        "most": f"{max(sizes):,}",
        "eta": f"{s['config']['learning_rate']:g}",
        "steps": f"{s['sizes']['budget_size']:,}",
        "beta": slope(s, "beta"),
        "best": f"{', '.join(inside)} and {last} or more",
    }
