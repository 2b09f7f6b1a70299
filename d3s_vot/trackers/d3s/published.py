"""What is published of D3S. Results are those of the paper, not ours; speeds are ours."""

from __future__ import annotations

from d3s_vot.trackers.published import Published

PUBLISHED = (
    Published(
        "D3S",
        "D3S",
        "Lukezic, Matas, Kristan: D3S, CVPR 2020; weights of our own",
        gives_masks=True,
        speed="exact 31, fast 58 frames/s (2 threads, AMD EPYC Zen 5)",
    ),
    Published(
        "D3S-ResNet50",
        "D3S",
        "Lukezic, Matas, Kristan: D3S, CVPR 2020",
        gives_masks=True,
        file="SegmNet.pth.tar",
        source="the authors' page of D3S",
        convert="d3s-vot convert SegmNet.pth.tar D3S-ResNet50.safetensors --gem-trunk resnet50.pth",
        results={
            "VOT2018": "EAO .489, A .64, R .150",
            "VOT2016": "EAO .493, A .66, R .131",
            "GOT-10k test": "AO 59.7, SR.5 67.6, SR.75 46.2",
            "TrackingNet test": "success 72.8, precision 66.4, normalised precision 76.8",
            "DAVIS 2016": "J 75.4, F 72.6, J&F 74.0",
            "DAVIS 2017": "J 57.8, F 63.8, J&F 60.8",
        },
        speed="exact 103, fast 42 ms a frame (2 threads, AMD EPYC Zen 5)",
    ),
)
