"""What goes wrong on the way to a bucket and back, by chance: a script for `harness.proxy`, which counts it."""

import collections
import dataclasses
import datetime
import random
import re
import threading
import time

from .proxy import refusal

# How many of the requests that it may happen to.
SHARES = {
    "slow": 0.2,  # all: 5 to 200 ms more
    "busy": 0.05,  # all: 503 SlowDown, and nothing is done
    "hung": 0.01,  # all: done, and no answer until the client gives up
    "lost": 0.08,  # what writes or removes: done, and the connection is cut
    "cut": 0.02,  # what is read: the connection is cut within the body
    "short": 0.01,  # objects: a part of the body, whose length is told as if it were all
    "flipped": 0.03,  # objects: one bit is another
    "old list": 0.3,  # lists: as they were some seconds ago
    "late list": 0.3,  # lists: without the names of the last seconds
}
# How old a list may be.
OLD_SECONDS = 3
LATENCY_SECONDS = (0.005, 0.2)
# Longer than the client waits.
HUNG_SECONDS = 4
ITEM = re.compile(rb"<(Contents|Blob)>.*?<(Key|Name)>(?P<name>.*?)</\2>.*?</\1>", re.DOTALL)


class BadWay:
    """`script` is the proxy's. Ends with `heal`: then all goes well."""

    def __init__(self, seed, log, shares=SHARES):
        self._random = random.Random(seed)
        self._shares = dict(shares)
        self._lock = threading.Lock()
        self._log = open(log, "w", buffering=1)
        self._healed = threading.Event()
        self.requests = 0
        self.counts = collections.Counter({kind: 0 for kind in shares})
        # By the whole path of the request: when, and the answer.
        self._lists = collections.defaultdict(collections.deque)
        # When names were made.
        self._made = {}

    def heal(self):
        self._healed.set()

    def script(self, request, forward):
        begun, way = now(), Way(self)
        answer = self._pass(request, forward, way)
        status = "cut" if answer is None else f"{answer.status} {len(answer.body)}"
        asked = next((value for key, value in request.headers.items() if key.lower() == "range"), "")
        line = f"{begun} {now()} {request.method} {request.path} {asked} {status} {way.faults}\n"
        with self._lock:
            self.requests += 1
            self._log.write(line)
        return answer

    def _pass(self, request, forward, way):
        if way.draws("slow"):
            self._healed.wait(way.random.uniform(*LATENCY_SECONDS))
        if way.draws("busy"):
            return refusal(503, "SlowDown")
        answer = self._list(request, forward, way) if is_list(request) else self._object(request, forward, way)
        if way.draws("hung"):
            self._healed.wait(HUNG_SECONDS)
            return None
        if request.method in ("PUT", "POST", "DELETE") and way.draws("lost"):
            return None
        if request.method == "GET" and len(answer.body) > 1 and way.draws("cut"):
            answer.cut_after = way.random.randrange(len(answer.body))
        return answer

    def _object(self, request, forward, way):
        answer = forward()
        if answer.status >= 300:
            return answer
        if request.method == "PUT":
            with self._lock:
                self._made[name_of(request)] = time.monotonic()
        if request.method == "GET" and len(answer.body) > 1:
            if way.draws("short"):
                answer.body = answer.body[: way.random.randrange(1, len(answer.body))]
            if is_checked(request) and way.draws("flipped"):
                body, at = bytearray(answer.body), way.random.randrange(len(answer.body))
                body[at] ^= 1 << way.random.randrange(8)
                answer.body = bytes(body)
        return answer

    def _list(self, request, forward, way):
        begun = time.monotonic()
        with self._lock:
            earlier = self._lists[request.path]
            while earlier and begun - earlier[0][0] > OLD_SECONDS:
                earlier.popleft()
            known = [answer for _, answer in earlier]
        if known and way.draws("old list"):
            return dataclasses.replace(way.random.choice(known))
        answer = forward()
        if answer.status >= 300:
            return answer
        with self._lock:
            earlier.append((begun, dataclasses.replace(answer)))
            self._made = {name: at for name, at in self._made.items() if begun - at < OLD_SECONDS}
            fresh = set(self._made)
        late = ITEM.sub(lambda item: b"" if item["name"].decode() in fresh else item[0], answer.body)
        if late != answer.body and way.draws("late list"):
            answer.body = late
        return answer

    def seed(self):
        with self._lock:
            return self._random.getrandbits(64)

    def happens(self, kind, chance):
        """Whether it does, at a chance from 0 to 1; counted if so."""
        if self._healed.is_set() or chance >= self._shares[kind]:
            return False
        with self._lock:
            self.counts[kind] += 1
        return True


class Way:
    """What happens to one request: drawn by itself, whatever others do meanwhile."""

    def __init__(self, of):
        self.random = random.Random(of.seed())
        self.faults = []
        self._of = of

    def draws(self, kind):
        happens = self._of.happens(kind, self.random.random())
        if happens:
            self.faults.append(kind)
        return happens


def now():
    """As the logs of gateways have it."""
    return datetime.datetime.now(datetime.timezone.utc).isoformat()


def is_list(request):
    return request.method == "GET" and not {"list-type", "comp"}.isdisjoint(request.query)


def name_of(request):
    """The name of an object, without account and bucket, which are before it."""
    path = request.path.split("?")[0]
    return path[path.index("/traces/") + len("/traces/") :]


def is_checked(request):
    """Objects that have checksums: what is wrong in them can be known."""
    return any(f"/{root}/" in request.path for root in ("blocks", "catalog", "manifest"))
