"""Where STAC items come from: ItemCollections, items and static catalogues, on this machine or behind http(s)."""

import http.client
import json
import os
import urllib.error
import urllib.parse
import urllib.request
from collections import deque
from dataclasses import dataclass
from typing import Any

from parcelle.errors import InputError
from parcelle.sensors.base import Problem

# Seconds after which a server that says nothing is given up; bytes of a document and documents of a catalogue that
# nobody has, so that a wrong address ends in a sentence.
PATIENCE = 30
LARGEST = 1 << 28
MOST = 100_000

# How GDAL reads what lies elsewhere.
_ELSEWHERE = {"http": "/vsicurl/http://", "https": "/vsicurl/https://", "s3": "/vsis3/", "gs": "/vsigs/"}


@dataclass(frozen=True)
class Listed:
    """An item, and the path or address of the document that it stands in."""

    content: dict[str, Any]
    place: str

    @property
    def own_place(self) -> str | None:
        """Its own address, if it gives one that is whole."""
        links = self.content.get("links")
        for link in links if isinstance(links, list) else ():
            if isinstance(link, dict) and link.get("rel") == "self" and not _relative(str(link.get("href", ""))):
                return str(link["href"])
        return None

    def locate(self, href: str) -> str:
        """Path, for GDAL, of a file that the item names.

        A relative one starts at the document; where there is no such file, or the document is remote, at the item's own
        address.

        Raises:
            ValueError: It cannot be read from here, or a remote item names a file of this machine.

        """
        place = self.place
        if _relative(href) and self.own_place and (remote(place) or not os.path.exists(absolute(href, place))):
            place = self.own_place if remote(self.own_place) or not remote(place) else place
        found = absolute(href, place)
        if found.startswith("/vsi"):
            return found
        scheme, far, rest = found.partition("://")
        if far and scheme not in _ELSEWHERE:
            raise ValueError(f"{found} is not at a place that can be read: {', '.join(_ELSEWHERE)}, or a file")
        return _ELSEWHERE[scheme] + rest if far else found


def remote(place: str) -> bool:
    """Whether a document is behind http(s)."""
    return place.startswith(("http://", "https://"))


def absolute(href: str, place: str) -> str:
    """Path or address of what a document names.

    Raises:
        ValueError: A remote document names a file of this machine.

    """
    if remote(place):
        found = urllib.parse.urljoin(place, href)
        if found.startswith("file:"):
            raise ValueError(f"it is remote, and names {found}, a file of this machine")
        return found
    if href.startswith("file:"):
        return urllib.request.url2pathname(urllib.parse.urlsplit(href).path)
    if "://" in href or href.startswith("/vsi"):
        return href
    return os.path.realpath(os.path.join(os.path.dirname(place), href))


def read(place: str, afar: bool = True) -> tuple[list[Listed], list[Problem], list[str]]:
    """Read a document and all that it links to as `child` or `item`.

    Args:
        place: Path or address of an ItemCollection, a catalogue, a collection or an item.
        afar: Whether to follow links behind http(s).

    Returns:
        Items, what could not be read, and the documents that were.

    Raises:
        InputError: The first document cannot be read, or nothing in it is an item.

    """
    found, faults = _items(_document(place), place)
    seen, waiting = {place}, deque(found[1])
    items, problems = found[0], faults
    while waiting:
        link = waiting.popleft()
        if link in seen or (remote(link) and not afar):
            continue
        seen.add(link)
        if len(seen) > MOST:
            raise InputError(f"{place} links to more than {MOST} documents: name a smaller catalogue.")
        try:
            (more, links), wrong = _items(_document(link), link)
        except InputError as error:
            problems.append(Problem(link, str(error)))
            continue
        items += more
        problems += wrong
        waiting.extend(links)
    return items, problems, sorted(seen)


def _items(content: dict[str, Any], place: str) -> tuple[tuple[list[Listed], list[str]], list[Problem]]:
    """Items of a document, and what it links to; and the links that cannot be followed."""
    features = content.get("features")
    if isinstance(features, list) and all(isinstance(f, dict) for f in features):
        if any(link.get("rel") == "next" for link in _links(content)):
            raise InputError(f"{place} is one page of several (it has a link `next`): save all items in one file.")
        return ([Listed(f, place) for f in features], []), []
    if content.get("type") == "Feature":
        return ([Listed(content, place)], []), []
    if content.get("type") in ("Catalog", "Collection"):
        links, problems = [], []
        for link in _links(content):
            if link.get("rel") in ("child", "item"):
                try:
                    links.append(absolute(str(link.get("href")), place))
                except ValueError as error:
                    problems.append(Problem(place, str(error)))
        return ([], links), problems
    raise _not_stac(place)


def _links(content: dict[str, Any]) -> list[dict[str, Any]]:
    links = content.get("links")
    return [link for link in links if isinstance(link, dict)] if isinstance(links, list) else []


def _relative(href: str) -> bool:
    return not (os.path.isabs(href) or "://" in href or href.startswith("file:"))


def _document(place: str) -> dict[str, Any]:
    """Content of a document.

    Raises:
        InputError: It cannot be read, or is not JSON.

    """
    try:
        content = json.loads(_fetched(place) if remote(place) else _stored(place))
    except ValueError:
        raise _not_stac(place) from None
    if not isinstance(content, dict):
        raise _not_stac(place)
    return content


def _not_stac(place: str) -> InputError:
    return InputError(f"{place} is not a STAC ItemCollection (JSON with `features`), catalogue or item.")


def _stored(path: str) -> bytes:
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except FileNotFoundError:
        what = "a STAC ItemCollection or a catalogue"
        raise InputError(f"{path} is missing: it should list the images of its tile as {what}.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}).") from None


def _fetched(url: str) -> bytes:
    request = urllib.request.Request(url, headers={"User-Agent": "parcelle", "Accept": "application/json, */*"})
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            content = answer.read(LARGEST + 1)
    except urllib.error.HTTPError as error:
        raise InputError(f"{url} cannot be read: the server says {error.code} {error.reason}.") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise InputError(f"{url} cannot be read ({getattr(error, 'reason', error)}): check the address.") from None
    if len(content) > LARGEST:
        raise InputError(f"{url} has more than {LARGEST >> 20} MiB: name a smaller ItemCollection.")
    return bytes(content)
