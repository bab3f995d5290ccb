"""`pip install .`: the ROS-free core and the command line. ROS builds use CMakeLists.txt; colcon ignores this file.

Version, description, people, licence and addresses are read from package.xml, the dependencies from requirements/.
"""

from pathlib import Path
from xml.etree import ElementTree

from setuptools import find_packages, setup

HERE = Path(__file__).parent
MANIFEST = ElementTree.parse(HERE / "package.xml").getroot()
LEFT_OUT = (".pyc", ".fp16.onnx", ".safetensors")  # see LEFT_OUT in reactdiff_ros/model/backends/weights.py
SHARED = ("action", "config", "msg", "requirements", "resource")
EXTRAS = (
    "cluster", "devices", "drawing", "evaluate", "https", "robots", "robots-i2c", "speech", "tensorrt", "test", "train",
)  # fmt: skip
URLS = {"website": "Homepage", "repository": "Source", "bugtracker": "Issues"}


def metadata(tag: str) -> str:
    """The text of a tag of package.xml."""
    text = MANIFEST.findtext(tag)
    if not text:
        raise SystemExit(f"package.xml has no <{tag}>")
    return " ".join(text.split())


def requirements(name: str) -> list[str]:
    """The lines of requirements/NAME.txt without comments and without labels of one package index (+cpu)."""
    lines = (line.split("#")[0].strip() for line in (HERE / "requirements" / f"{name}.txt").read_text().splitlines())
    return [line.split("+")[0] for line in lines if line]


def shared_files() -> list[tuple[str, list[str]]]:
    """(folder of the installation, files) of what ships beside the code."""
    folders = [f for top in SHARED for f in (HERE / top, *sorted((HERE / top).rglob("*"))) if f.is_dir()]
    files = {
        f.relative_to(HERE): sorted(p for p in f.iterdir() if p.is_file() and not p.name.endswith(LEFT_OUT))
        for f in folders
    }
    files[Path()] = [HERE / "package.xml"]
    return [
        (str(Path("share/reactdiff_ros") / folder), [str(p.relative_to(HERE)) for p in inside])
        for folder, inside in files.items()
        if inside
    ]


setup(
    name="reactdiff_ros",
    version=metadata("version"),
    description=metadata("description"),
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author=metadata("author"),
    author_email=MANIFEST.find("author").get("email"),
    maintainer=metadata("maintainer"),
    maintainer_email=MANIFEST.find("maintainer").get("email"),
    url=MANIFEST.findtext("url[@type='website']"),
    project_urls={name: MANIFEST.findtext(f"url[@type='{kind}']") for kind, name in URLS.items()},
    license=metadata("license"),
    license_files=["LICENSE", "NOTICE", "resource/models/*/LICENSE.md", "resource/demo/LICENSE.md"],
    keywords=["robotics", "ros2", "human-robot interaction", "facial expression", "listener", "diffusion"],
    classifiers=[
        "Development Status :: 4 - Beta",
        "Environment :: Console",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Topic :: Multimedia :: Video",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
    packages=find_packages(include=["reactdiff_ros", "reactdiff_ros.*"]),
    package_data={
        "reactdiff_ros": [
            "py.typed",
            "perception/expression.json",
            "avatar/page/*",
            "avatar/page/robot/*",
            "avatar/page/looks/*",
            "avatar/page/trust/*",
            "avatar/page/three/*",
            "evaluation/report/page/*",
            "avatar/drawing.js",
        ],
    },
    data_files=shared_files(),
    python_requires=">=3.10,<3.13",
    install_requires=requirements("run"),
    extras_require={name: requirements(name) for name in EXTRAS},
    entry_points={"console_scripts": ["reactdiff = reactdiff_ros.cli.main:program"]},
)
