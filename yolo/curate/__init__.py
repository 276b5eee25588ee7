"""What `gridyolo data ...` does with datasets; none of it changes the dataset it reads.

check      `check`, `check_page` and what they look for: `findings`, `boxes`, `files`, `images`, `duplicates`
stats      `stats`, `stats_plots`, `measures`, and what a grid cannot hold: `grid_fit`
convert    `convert`, `write`, `image_files`          split     `split`, `partition`
download   `download`, `manifest`, `fetch` (the only module of the package that opens a connection), `archives`
synth      `synthetic`, `drawing`, `backgrounds`      preview   `preview`
"""
