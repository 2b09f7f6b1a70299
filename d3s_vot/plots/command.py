"""The command `d3s-vot plots`: result files of several trackers on one data set, as plots, tables and a film.

It is a command of its own beside `compare`: that one runs trackers on a video, and takes a target; this one runs none,
and takes a data set with its truth. A folder alone could be either.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from d3s_vot.errors import InputError

EXAMPLES = """examples:
  d3s-vot plots runs/otb100 DiMP-50=dimp/dimp50_000 --dataset otb100 --root OTB --output plots
  d3s-vot plots D3S-results ECO-results --dataset lasot --root LaSOT --output plots --film bird-2
A name that is given several times, DiMP=run1 DiMP=run2, has several runs; their mean counts.
Exit code 0: done; 1: it was interrupted, or the disk is full; 2: what is given cannot be used."""


def add_plots(commands: argparse._SubParsersAction) -> None:
    """The command's grammar."""
    parser = commands.add_parser(
        "plots",
        help="result files of several trackers: plots, tables, film",
        description="Measure result files of several trackers on one data set: ours, PyTracking's or the got10k\n"
        "toolkit's. FOLDER gets index.html with success, precision and normalised precision plots, ranks, tables by\n"
        "sequence and attribute, and the same numbers as numbers.json, trackers.csv, sequences.csv, attributes.csv.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "results",
        nargs="+",
        metavar="RESULTS",
        help="a tracker's folder of result files, as it is or NAME=FOLDER; a folder of such folders; a run",
    )
    parser.add_argument("--dataset", required=True, metavar="NAME", help="as in `python -m d3s_vot.got10k_run`")
    parser.add_argument("--root", required=True, type=Path, metavar="DIR", help="the data set, as it was unpacked")
    parser.add_argument("--output", required=True, type=Path, metavar="FOLDER", help="new, or of earlier plots")
    parser.add_argument("--sequences", nargs="+", metavar="SEQUENCE", help="measure on these alone (default: all)")
    parser.add_argument(
        "--attributes",
        type=Path,
        metavar="PATH",
        help="a folder with SEQ.txt of values 0 or 1, or a CSV table (default: the data set's, where it has any)",
    )
    parser.add_argument("--film", metavar="SEQUENCE", help="draw all trackers' boxes and the truth on its frames")
    parser.set_defaults(run=plots)


def plots(options: argparse.Namespace) -> None:
    """Run the command.

    Args:
        options: of `add_plots`.

    Raises:
        InputError: the data set, the results or the attributes cannot be used.
        D3SError: it was interrupted, or the disk is full.
    """
    from d3s_vot.evaluation.boxes.attributes import read_attributes
    from d3s_vot.evaluation.boxes.boxsets import open_boxset
    from d3s_vot.evaluation.boxes.entries import find_entries, read_entry, shared_sequences
    from d3s_vot.evaluation.boxes.layouts import write_file
    from d3s_vot.evaluation.boxes.reports import check_measurable
    from d3s_vot.evaluation.boxes.standings import stand
    from d3s_vot.locks import locked
    from d3s_vot.plots.film import write_film
    from d3s_vot.plots.page import page
    from d3s_vot.plots.published import published_scores
    from d3s_vot.plots.tables import Comparison, files

    name = options.dataset
    every = open_boxset(name, options.root, options.sequences)
    for sequence in every:
        check_measurable(name, sequence)
    folders = find_entries(name, options.results, every)
    entries = [read_entry(name, tracker, runs, every) for tracker, runs in folders.items()]
    sequences, left_out = shared_sequences(entries, every)
    filmed = next((one for one in sequences if one.name == options.film), None)
    if options.film is not None and filmed is None:
        raise InputError(f"no film of {options.film}: not all trackers have it; they have {sequences[0].name}")
    attributes = read_attributes(name, options.root, sequences, options.attributes)
    comparison = Comparison(
        name,
        stand(name, entries, sequences, attributes),
        sequences,
        attributes,
        left_out,
        {tracker: said for tracker in folders if (said := published_scores(name, tracker)) is not None},
    )
    with locked(options.output):
        film = None
        if filmed is not None:
            film = f"film-{filmed.name}.mp4"
            write_film(options.output / film, entries, filmed)
        content = page(comparison, film, filmed.name if filmed is not None else "")
        for file, data in {**files(comparison), "index.html": content.encode()}.items():
            write_file(options.output / file, data)
        if not comparison.standings[0].attributes:  # an earlier one would belong to other numbers
            (options.output / "attributes.csv").unlink(missing_ok=True)
    for sequence_name, lacking in left_out.items():
        print(f"{sequence_name} is left out: no result of {', '.join(lacking)}", file=sys.stderr)
    print(f"{options.output / 'index.html'} written")
