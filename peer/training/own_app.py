"""The user's own app, which trains where there is no table: a Python object, or a project of Flower."""

from typing import Any

from ..home.settings import FLOWER_APP, Settings
from ..learning.app import AppError, load_app, load_object, log_traceback, told
from ..learning.learner import Learner
from ..system.extras import MissingPackage

__all__ = ["own_app"]


def own_app(settings: Settings) -> Learner:
    """Load the app that the settings name.

    Raises:
        AppError: it cannot be loaded; the message says why.
    """
    assert settings.app is not None
    if settings.app != FLOWER_APP:
        return Learner(load_app(settings.app, settings.app_folder), settings.app)
    assert settings.app_folder is not None
    app = _flower(settings.app_folder, settings.node_config, settings.app_option)
    return Learner(app, settings.app_name or "app")


def _flower(folder: str, node_config: str, option: str) -> Any:
    """Return the app of a Flower project; this runs the project's own code."""
    make = load_object(FLOWER_APP, folder)
    try:
        return make(folder, node_config)
    except MissingPackage as error:
        raise AppError(str(error)) from None
    except AppError as error:
        raise AppError(f"{option}: {error}") from None
    except (Exception, SystemExit) as error:
        log_traceback(option, error)
        raise AppError(f"{option}: its own code raised {told(error)}") from error
