"""Slips of the two sources' text: no mathematics is in them, or it is in a claim of its own."""

import dataclasses

from derivations.parts import Source

SCANS = (
    "The lecture and the thesis were read as scans, turned into text by a program. What is called a slip here may be "
    "an error of recognition, such as n for η or a lost minus sign, that the authors never made."
)


@dataclasses.dataclass(frozen=True)
class Erratum:
    """A slip of the text.

    Attributes:
        source: where it is printed.
        printed: the words.
        meant: what they should say.
        why: how one knows.
        claim: the claim that has the mathematics of it, if there is one.
    """

    source: Source
    printed: str
    meant: str
    why: str
    claim: str = ""


ERRATA = (
    Erratum(
        Source("lecture", place="section 4, second caution"),
        "Apply momentum correction after changing learning rate if using R-CNN",
        "if using (10), the update of Goyal et al. whose velocity contains the learning rate",
        "Their second remark names their equation (10); the correction belongs to this form of momentum, on any net.",
        "momentum-correction",
    ),
    Erratum(
        Source("lecture", place="sections 5.1 and 5.2"),
        "[10], in its references Smith, Kindermans & Le, Don't Decay the Learning Rate, Increase the Batch Size",
        "Smith & Le, A Bayesian Perspective on Generalization and Stochastic Gradient Descent (arXiv:1710.06451)",
        "Equations (8) to (24), the optimal batch size and Figures 10 and 11 are from that paper, which the lecture "
        "doesn't list.",
        "noise-scale",
    ),
    Erratum(
        Source("lecture", place="section 5.1, before (11)"),
        "the fluctuation around the true loss, labeled as ψ",
        "the fluctuation around the true gradient",
        "(11) defines ψ as a difference of gradients, and the list after (8) calls it that of the gradient.",
        "gradient-fluctuation",
    ),
    Erratum(
        Source("lecture", place="sections 3 and 4, Definition 2, Figure 9"),
        "n for the size of a mini-batch in (1), (4), (5) and Figure 9, and for the dimension in Definition 2",
        "two letters",
        "Both are in use on the same pages, and Figure 7 plots the sharpness of Definition 2 against the batch size.",
    ),
    Erratum(
        Source("thesis", place="chapter 3 and section 3.1.1"),
        "the loss surface of DNNs has multiple trivial minima; for any labeling of the training labels there exists a "
        "minima in the loss surface",
        "each labelling has a loss surface of its own, which has such a minimum",
        "The labels are part of the loss: a net that has memorised other labels is at a minimum of their loss, and on "
        "the loss surface of the true labels it is at a point of high loss.",
    ),
    Erratum(
        Source("thesis", place="Figure 3.1, captions (b) and (c)"),
        "(b) Figures reproduced from (P_3); (c) Figures reproduced from (P_2)",
        "(b) from (P_2), (c) from (P_3)",
        "(b) shows the critical sample ratio and random labels, the subject of (P_2) in section 3.3; (c) shows the "
        "sharpest direction, the subject of (P_3) in section 3.4. The text refers to 3.1b and 3.1c in this way.",
    ),
    Erratum(
        Source("thesis", place="section 3.1.2"),
        "the noise structure of SGD which is relevant to findings in (P_1) and (P_2)",
        "(P_1) and (P_3)",
        "The same section ends with the learning rate and batch size in (P_1) and (P_3); (P_2) is on memorisation.",
    ),
)
