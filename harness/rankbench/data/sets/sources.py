"""Where users can get the data sets. Rankbench never downloads them itself."""

from __future__ import annotations

ORIGINS = {
    "ucf11": (
        "UCF11 is at the Center for Research in Computer Vision, University of Central Florida,"
        ' page "UCF YouTube Action Data Set", for non-commercial research'
    ),
    "hmdb51": "HMDB51 is at the Serre lab, Brown University, page HMDB51, with its official splits",
    "mnist": "MNIST is at Yann LeCun's site, four idx files, and in many mirrors as a .npz",
}
