"""`pip install .`: the ROS-free core and the command line. ROS builds use CMakeLists.txt; colcon ignores this file."""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent


def requirements(name: str) -> list[str]:
    """The lines of requirements/NAME.txt without comments."""
    lines = (line.split("#")[0].strip() for line in (HERE / "requirements" / f"{name}.txt").read_text().splitlines())
    return [line for line in lines if line]


setup(
    name="reactdiff_ros",
    version="0.1.0",
    description="A listening face for social robots, after ReactDiff.",
    license="Apache-2.0",
    packages=find_packages(include=["reactdiff_ros", "reactdiff_ros.*"]),
    package_data={"reactdiff_ros": ["avatar/page/*", "avatar/page/robot/*", "evaluation/report/page/*"]},
    data_files=[
        (
            f"share/reactdiff_ros/{folder.relative_to(HERE)}",
            [str(f.relative_to(HERE)) for f in folder.iterdir() if f.is_file()],
        )
        for top in ("config", "msg", "resource")
        for folder in [HERE / top, *(f for f in (HERE / top).rglob("*") if f.is_dir() and f.name != "__pycache__")]
    ],
    python_requires=">=3.10,<3.13",
    install_requires=requirements("run"),
    extras_require={name: requirements(name) for name in ("cluster", "evaluate", "robots", "test", "train")},
    entry_points={"console_scripts": ["reactdiff = reactdiff_ros.cli.main:main"]},
)
