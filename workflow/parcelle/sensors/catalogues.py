"""Where STAC items come from: ItemCollections, items and static catalogues, on this machine or behind http(s)."""

import http.client
import json
import os
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from parcelle.errors import InputError
from parcelle.sensors.base import Problem, refuse_special

# Seconds after which a server that says nothing is given up, and those that all documents of a catalogue may take;
# bytes of a document and documents of a catalogue that nobody has, so that a wrong address ends in a sentence.
PATIENCE = 30
LONGEST = 300
LARGEST = 1 << 28
MOST = 10_000

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
            ValueError: It cannot be read from here, or a remote item names what is not remote.

        """
        place = self.place
        if _relative(href) and self.own_place and (remote(place) or not os.path.exists(absolute(href, place))):
            place = self.own_place if remote(self.own_place) or not remote(place) else place
        found = absolute(href, place)
        if found.startswith("/vsi"):
            return found
        scheme, far, rest = found.partition("://")
        if not far:
            refuse_special(found)
            return found
        if scheme.lower() not in _ELSEWHERE:
            raise ValueError(f"{found} is not at a place that can be read: {', '.join(_ELSEWHERE)}, or a file")
        return _ELSEWHERE[scheme.lower()] + rest


def remote(place: str) -> bool:
    """Whether a document is behind http(s)."""
    return place.lower().startswith(("http://", "https://"))


def absolute(href: str, place: str) -> str:
    """Path or address of what a document names.

    Raises:
        ValueError: A remote document names what is not remote: a file of this machine, by a driver of GDAL too.

    """
    if remote(place):
        found = urllib.parse.urljoin(place, href)
        # Those who look at the scheme do not agree on blanks before it: with one, `://` decides.
        if urllib.parse.urlsplit(found).scheme not in _ELSEWHERE or "://" not in found:
            raise ValueError(f"it is remote, and names {found}, which is not: allowed are {', '.join(_ELSEWHERE)}")
        return found
    if href.lower().startswith("file:"):
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
        InputError: The first document cannot be read, or nothing in it is an item; or there are too many, or those that
            are remote take too long.

    """
    until = time.monotonic() + LONGEST
    found, faults = _items(_document(place, until), place)
    seen, waiting = {place}, deque(found[1])
    items, problems = found[0], faults
    while waiting:
        link = waiting.popleft()
        if link in seen or (remote(link) and not afar):
            continue
        seen.add(link)
        if len(seen) > MOST:
            raise InputError(f"{place} links to more than {MOST} documents: name a smaller catalogue.")
        if remote(link) and time.monotonic() > until:
            raise InputError(f"{place} and what it links to take more than {LONGEST} s: save all items in one file.")
        try:
            (more, links), wrong = _items(_document(link, until), link)
        except InputError as error:
            problems.append(Problem(line(link), line(error)))
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
                    problems.append(Problem(place, line(error)))
        return ([], links), problems
    raise _not_stac(place)


def _links(content: dict[str, Any]) -> list[dict[str, Any]]:
    links = content.get("links")
    return [link for link in links if isinstance(link, dict)] if isinstance(links, list) else []


def _relative(href: str) -> bool:
    return not (os.path.isabs(href) or "://" in href or href.lower().startswith("file:"))


def _document(place: str, until: float) -> dict[str, Any]:
    """Content of a document; a remote one is there before a time of the monotonic clock.

    Raises:
        InputError: It cannot be read, or is not JSON, or is nested beyond all measure.

    """
    content = _fetched_before(place, until) if remote(place) else _stored(place)
    try:
        content = json.loads(content)
    except (ValueError, RecursionError):
        raise _not_stac(place) from None
    if not isinstance(content, dict):
        raise _not_stac(place)
    return content


def _not_stac(place: str) -> InputError:
    return InputError(f"{place} is not a STAC ItemCollection (JSON with `features`), catalogue or item.")


def _stored(path: str) -> bytes:
    if "://" in path:
        where = "a path, or an address that begins with http:// or https://"
        raise InputError(f"{path} cannot be read: write {where}.")
    try:
        refuse_special(path)
        with open(path, "rb") as stream:
            return stream.read()
    except FileNotFoundError:
        what = "a STAC ItemCollection or a catalogue"
        raise InputError(f"{path} is missing: it should list the images of its tile as {what}.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}).") from None
    except ValueError as error:
        raise InputError(f"{error}: name a document.") from None


def _fetched_before(url: str, until: float) -> bytes:
    """Content of an address, in a thread that is left to itself when time is up: each byte may come late enough."""
    answer: Future[bytes] = Future()

    def fetch() -> None:
        try:
            answer.set_result(_fetched(url))
        except Exception as error:
            answer.set_exception(error)

    threading.Thread(target=fetch, daemon=True).start()
    try:
        return answer.result(max(0.0, until - time.monotonic()))
    except TimeoutError:
        raise InputError(f"{url} cannot be read: it takes more than {LONGEST} s: check the address.") from None


def _fetched(url: str) -> bytes:
    request = urllib.request.Request(url, headers={"User-Agent": "parcelle", "Accept": "application/json, */*"})
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            content = answer.read(LARGEST + 1)
    except urllib.error.HTTPError as error:
        raise InputError(f"{url} cannot be read: the server says {error.code} {line(error.reason)}.") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        why = line(getattr(error, "reason", error))
        raise InputError(f"{url} cannot be read ({why}): check the address.") from None
    if len(content) > LARGEST:
        raise InputError(f"{url} has more than {LARGEST >> 20} MiB: name a smaller ItemCollection.")
    return bytes(content)


def line(reason: object) -> str:
    """A reason, or a name, in one line that can be written: JSON may hold halves of letters."""
    return " ".join(str(reason).encode("utf-8", "backslashreplace").decode().split())
