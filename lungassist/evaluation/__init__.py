"""From a model and a folder to a table of predictions, and from tables to a defensible choice.

predictions     the table that training and evaluation write, and a card's figures of it
evaluate        a model asked about every image of a folder; resumes where it stopped
origin          in which split an image is: what a model has learnt from is no test
lungfield       where the lungs are; evidence: how much of a heat map lies there
tables, checks  reading tables, one's own and others' (the schema stands in `tables`)
comparison      `Comparison`: everything that the page and `compare` show
images, leaderboard, paired, slices, operating, lung_summary
                its parts; figures come from `lungassist.metrics`
sections, comparison_json, comparison_html, comparison_svg, wording
                the same for a terminal, a program, a page
published       the paper's Tables 1 to 5; published_audit: which of their figures cannot be right
"""
