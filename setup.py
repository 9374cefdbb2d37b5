"""What setup.cfg cannot say: the README as a package index shows it."""

import configparser
import pathlib
import re

HOME = pathlib.Path(__file__).parent


def absolute_links(text, url):
    """Markdown whose links into the repository work from anywhere."""
    text = re.sub(r"(!\[[^]]*\]\()(?!\w+:|#)", rf"\1{url}/raw/main/", text)
    return re.sub(
        r"((?<!!)\[[^]!]*\]\()(?!\w+:|#)", rf"\1{url}/blob/main/", text
    )


if __name__ == "__main__":
    # Here, since a test imports this module without it.
    from setuptools import setup

    config = configparser.ConfigParser()
    config.read(HOME / "setup.cfg")
    setup(
        long_description=absolute_links(
            (HOME / "README.md").read_text(encoding="utf-8"),
            config["metadata"]["url"],
        ),
        long_description_content_type="text/markdown",
    )
