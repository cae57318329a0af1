"""Models that were trained alike but for one setting, so that the setting's effect can be seen."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from lungassist.evaluation.comparison import Comparison
from lungassist.evaluation.wording import in_brackets, p_value, percent_interval
from lungassist.experiments.ablations import Ablation, ablations
from pages.parts.training_fields import label_of, word_of


def show_ablations(comparison: Comparison) -> None:
    """Show every pair that differs in one setting."""
    found = ablations(comparison)
    if not found:
        st.info(
            "No two of the chosen models differ in one setting alone. Clone a run, change one setting, launch it, and "
            "it stands here beside the first: Adam against SGD, with and without CLAHE, one depth against another.",
            icon=":material/tune:",
        )
        return
    st.markdown("**Trained alike but for one setting**, on the same images")
    st.dataframe(
        pd.DataFrame([_row(each) for each in found]),
        hide_index=True,
        column_config={
            "Only A right": st.column_config.NumberColumn(width=100),
            "Only B right": st.column_config.NumberColumn(width=100),
            "p (Holm)": st.column_config.TextColumn(alignment="right", width=80),
        },
        key="comparison_ablations",
        alt="Pairs of models that differ in one setting",
    )
    st.caption(
        "Accuracy of A less that of B, with its 95 % interval. Runs differ by chance too: a setting that matters shows "
        "it with several seeds."
    )


def _row(each: Ablation) -> dict[str, object]:
    pair = each.pair
    return {
        "Setting": label_of(each.setting),
        "A": _named(_said(each.setting, each.value_a), pair.a),
        "B": _named(_said(each.setting, each.value_b), pair.b),
        "A less B": f"{100 * pair.difference:+.2f} points{in_brackets(percent_interval(pair.interval))}",
        "Only A right": pair.only_a,
        "Only B right": pair.only_b,
        "p (Holm)": p_value(pair.adjusted_p),
    }


def _named(value: str, model: str) -> str:
    return value if value == model else f"{value} ({model})"


def _said(setting: str, value: object) -> str:
    if value is None:
        return "not set"
    return word_of(setting, tuple(map(str, value)) if isinstance(value, list) else value)
