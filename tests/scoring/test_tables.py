from pruneproof.scoring.tables import ChanceRow, ContrastRow, SummaryRow, to_csv

NAN = float("nan")


def test_summary_csv() -> None:
    row = SummaryRow("b", "m", "image", "fog", "mean", "accuracy/all", 100 / 3, -0.0, NAN, 12)
    assert to_csv(SummaryRow, [row]) == (
        "backbone,method,family,perturbation,severity,metric,value,low,high,n\n"
        "b,m,image,fog,mean,accuracy/all,33.333333,0,,12\n"
    )


def test_contrasts_csv() -> None:
    row = ContrastRow("b", "m", "full", "text", "mean", "mean", "accuracy/all", -1e-9, 1.5, 100.0, 0.25, NAN, True)
    assert to_csv(ContrastRow, [row]) == (
        "backbone,method,baseline,family,perturbation,severity,metric,value,low,high,p,p_holm,primary\n"
        "b,m,full,text,mean,mean,accuracy/all,0,1.5,100,0.25,,true\n"
    )


def test_no_rows_give_a_header() -> None:
    assert to_csv(SummaryRow, []).count("\n") == 1


def test_no_cell_is_a_formula() -> None:
    text = to_csv(ChanceRow, [ChanceRow("accuracy/colour", "=cmd()", -1.5, 3)])
    assert text.splitlines()[1] == "accuracy/colour,'=cmd(),-1.5,3"
