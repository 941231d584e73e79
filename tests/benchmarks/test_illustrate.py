from benchmarks import illustrate


def test_a_table_is_put_between_its_marks_again_and_again():
    text = "a\n<!-- t -->\n<!-- /t -->\nb\n"
    once = illustrate.fill(text, "t", "| x |")
    assert once == "a\n<!-- t -->\n| x |\n<!-- /t -->\nb\n"
    assert illustrate.fill(once, "t", "| x |") == once
