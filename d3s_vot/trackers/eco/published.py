"""The configurations of ECO by name; nothing was published for its later form but the code and a file of features."""

from __future__ import annotations

from d3s_vot.trackers.published import Published

PAPER = (
    "Danelljan et al., ECO: Efficient Convolution Operators for Tracking, CVPR 2017; its authors' later form, with "
    "shallow and deep filters apart"
)
FILE = "resnet18_vggmconv1.pth"  # VGG-M's first layer, and ResNet-18
DEFAULT, RESNET18, LITE0 = "ECO-default", "ECO-resnet18", "ECO-lite0"

PUBLISHED = (
    Published(
        DEFAULT,
        "ECO",
        PAPER,
        gives_masks=False,
        file=FILE,
        source="the model zoo of visionml/pytracking",
        convert=f"d3s-vot convert {FILE} {DEFAULT}.safetensors",
    ),
    Published(
        RESNET18,
        "ECO",
        f"{PAPER}; on torchvision's ResNet-18 alone, which is downloaded once, or given by --trunk",
        gives_masks=False,
        speed="exact 155 ms of one thread a frame (AMD EPYC, AVX2)",
    ),
    Published(
        LITE0,
        "ECO",
        f"{PAPER}; ours, on EfficientNet-lite0, which comes with the installation, judged and searched for",
        gives_masks=False,
        speed="exact 29, fast 20 ms a frame (2 threads, AMD EPYC, AVX2)",
    ),
)
