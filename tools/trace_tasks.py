"""The tasks of a trace that `sluice batch --trace FILE` wrote, and what tools/draw_trace asks of them."""
import math
import re
from dataclasses import dataclass

# kind, colour, and what the names of its tasks begin with, behind the layer
TRANSFERS = [("weights", "#8e6bb0", ("weights",)), ("hidden, qkv moved", "#d1495b", ("hidden", "qkv", "logits", "kv"))]
STAGES = [("qkv", "#3f78b5", ("qkv",)), ("attend", "#f08a24", ("attend",)), ("o_proj, route", "#2ba6a0", ("o_proj", "route", "guess")),
          ("experts", "#4d9f45", ("expert_group", "shared")), ("head, sample", "#d9b310", ("head", "sample")),
          ("other", "#8a8f98", ("",))]
KINDS = {kind: colour for kind, colour, _ in STAGES[:4] + TRANSFERS + STAGES[4:]}
LANES = ("device compute", "host compute", "host to device", "device to host", "disk", "network")
ALREADY_THERE = 0.01  # of the predicted time: a transfer that moved nothing


@dataclass
class Task:
    lane: str
    track: int
    name: str
    kind: str
    layer: int  # -1: of none
    micro_batch: int
    iteration: int
    start: float  # ms from the first task's start
    end: float
    predicted: float  # ms; 0: unknown, or of pages that were already there
    stage: bool


@dataclass
class Box:
    x: float
    end: float
    fill: str
    labels: tuple = ()  # longest first


def kind_of(name, stage):
    for kind, _, beginnings in STAGES if stage else TRANSFERS:
        if name.startswith(beginnings):
            return kind
    return "other"


def tracks_of(events):
    """(lane, track) of each thread id: `disk 3` is the disk lane's third track."""
    tracks = {}
    for event in events:
        if event["ph"] == "M" and event["name"] == "thread_name":
            lane, number = re.fullmatch(r"(.*?)(?: (\d+))?", event["args"]["name"]).groups()
            tracks[event["tid"]] = (lane, int(number or 1) - 1)
    return tracks


def read_tasks(trace):
    """In the order of their starts."""
    tracks = tracks_of(trace["traceEvents"])
    events = [event for event in trace["traceEvents"] if event["ph"] == "X"]
    begin = min((event["ts"] for event in events), default=0)
    tasks = []
    for event in events:
        layer, name, micro_batch = re.fullmatch(r"(?:L(\d+) )?(.*?) mb(\d+)(?: p\d+(?:\+\d+)?)?", event["name"]).groups()
        stage, args = event["cat"] == "stage", event["args"]
        took, predicted = event["dur"] / 1e3, args.get("predicted_us", 0) / 1e3
        if not stage and took < ALREADY_THERE * predicted:
            predicted = 0
        lane, track = tracks[event["tid"]]
        start = (event["ts"] - begin) / 1e3
        tasks.append(Task(lane, track, name, kind_of(name, stage), -1 if layer is None else int(layer), int(micro_batch),
                          args["iteration"], start, start + took, predicted, stage))
    return sorted(tasks, key=lambda task: task.start)


def lanes_of(tasks):
    lanes = {task.lane for task in tasks}
    return [lane for lane in LANES if lane in lanes] + sorted(lanes - set(LANES))


def steady_iterations(tasks):
    """Two of each micro-batch, in the middle."""
    iterations = sorted({task.iteration for task in tasks})
    count = min(2 * len({task.micro_batch for task in tasks}), len(iterations))
    first = (len(iterations) - count) // 2
    return iterations[first], iterations[first + count - 1]


def window_of(tasks, iterations=None, layers=None):
    """Where their stages begin and end, or nothing; pages do not count, since they move long before they are needed."""
    first, last = iterations or steady_iterations(tasks)
    low, high = layers or (-1, math.inf)
    inside = [task for task in tasks if task.stage and task.name != "guess" and first <= task.iteration <= last and low <= task.layer <= high]
    return (min(task.start for task in inside), max(task.end for task in inside)) if inside else None


def busy_share(tasks, begin, end):
    """Of the window, the part in which at least one of the tasks, ordered by start, is under way."""
    busy, until = 0.0, begin
    for task in tasks:
        start, stop = max(task.start, until), min(task.end, end)
        if stop > start:
            busy, until = busy + stop - start, stop
    return busy / (end - begin)


def layer_changes(tasks):
    """(start, layer) wherever the stages come to another layer than the one begun last."""
    begun, changes = set(), []
    for task in tasks:
        # A guess of a layer is made in the one before.
        if task.stage and task.layer >= 0 and task.name != "guess" and (task.iteration, task.layer) not in begun:
            begun.add((task.iteration, task.layer))
            if not changes or changes[-1][1] != task.layer:
                changes.append((task.start, task.layer))
    return changes


def merge(boxes, narrow, unseen=0.0):
    """Joins a box that is too narrow to be told apart to a neighbour of its colour; boxes are ordered by x."""
    merged = []
    for box in boxes:
        last = merged[-1] if merged else None
        if last and last.fill == box.fill and box.x - last.end < narrow and min(box.end - box.x, last.end - last.x) < narrow:
            last.end = max(last.end, box.end)
        else:
            merged.append(box)
    return [box for box in merged if box.end - box.x > unseen]
