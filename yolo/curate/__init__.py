"""What `gridyolo data ...` does with datasets; none of it changes the dataset it reads.

check      `check`, its page `check_report`, and what it looks for: `findings`, `boxes`, `images`, `duplicates`
stats      `stats`, `measures`, and what a grid cannot hold: `grid_fit`
convert    `write`, `image_files`                     split     `split`             preview   `preview`
download   `download`, `fetch` (the only module of the package that opens a connection), `archives`
synth      `synthetic`, `synthetic_objects`, `synthetic_backgrounds`
"""
