"""An image in which a kernel can start, whatever image somebody names: as it is, or with what it lacks."""

from __future__ import annotations

from collections.abc import Iterable

from kernel_exec.kernels.engine import Engine
from kernel_exec.kernels.images.maker import Maker
from kernel_exec.kernels.images.names import DEFAULT_IMAGE, PreparedImage
from kernel_exec.kernels.images.progress import Progress
from kernel_exec.kernels.images.python import KERNEL
from kernel_exec.kernels.images.recipe import Recipe
from kernel_exec.kernels.images.wheels import checked_folder, name_of, normalized
from kernel_exec.settings import PathLike


async def prepare(
    engine: Engine,
    image: str = DEFAULT_IMAGE,
    requirements: Iterable[str] = (),
    *,
    wheels: PathLike | None = None,
    on_progress: Progress | None = None,
) -> PreparedImage:
    """Return an image in which kernels can be started, with these requirements.

    An image that has an ipykernel, and that nothing is required of, is taken as it is; that costs one question to the
    engine. Another one gets what it lacks in an image made on it: once, by what goes in. One that the engine does not
    have is pulled.

    Args:
        engine: that has the image, or gets it.
        image: its name.
        requirements: such as "pandas>=2"; what they require comes with them.
        wheels: a folder with all of those as wheels; None to have them got by pip, with this Python's settings.
        on_progress: is called with a line of what is done, when it takes longer.

    Raises:
        InvalidArgument, WrongType: requirements that are none; a folder without wheels.
        ImageError: no kernel can run in the image, whatever it gets.
        ImageUnavailable: there is no such image.
        ImageBuildFailed: the packages are not to be had, or do not fit.
        EngineError, EngineUnavailable: the engine does not do it.
    """
    wanted = normalized(requirements)
    folder = None if wheels is None else checked_folder(wheels)
    with Maker(engine, on_progress) as maker:
        about = await maker.find(image) or await maker.pull(image)
        python = await maker.python_of(about, image)
        if python.has_kernel and not wanted:
            return maker.prepared(about, image, python)
        if not python.has_kernel and not any(name_of(requirement) == "ipykernel" for requirement in wanted):
            wanted = normalized([*wanted, KERNEL])
        return await maker.derive(Recipe(image, about, python, wanted, folder))
