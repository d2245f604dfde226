"""Shows what tools/draw_trace makes of a small trace: lanes, windows, merged boxes, busy shares."""
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest
from xml.etree import ElementTree

from trace_tasks import Box, busy_share, lanes_of, layer_changes, merge, read_tasks, steady_iterations, window_of

DRAW = os.path.join(os.path.dirname(os.path.abspath(__file__)), "draw_trace")
SVG = "{http://www.w3.org/2000/svg}"
LANES = {4: "disk", 10: "disk 2", 1: "host compute"}
# tid, name, iteration, begin and end in ms, predicted ms
TASKS = [
    (1, "embed mb0", 1, 5, 6, 1), (1, "L00 qkv mb0", 1, 6, 8, 1), (4, "L00 weights disk>host mb0 p3", 1, 5, 9, 4),
    (10, "L00 weights disk>host mb0 p4+2", 1, 6, 11, 4), (1, "L00 expert_group 3 mb0", 1, 11, 13, 0),
    (1, "L01 attend mb1", 2, 13, 15, 0), (4, "L01 weights disk>host mb1 p9", 2, 14, 14, 4), (1, "head 0 mb1", 2, 20, 25, 0),
]


def trace(tasks=tuple(TASKS), lanes=tuple(LANES.items())):
    events = [{"ph": "M", "name": "thread_name", "pid": 1, "tid": tid, "args": {"name": name}} for tid, name in lanes]
    events += [{"ph": "X", "name": name, "cat": "transfer" if ">" in name else "stage", "pid": 1, "tid": tid, "ts": 1e3 * begin,
                "dur": 1e3 * (end - begin), "args": {"iteration": iteration, "predicted_us": 1e3 * predicted}}
               for tid, name, iteration, begin, end, predicted in tasks]
    return {"traceEvents": events + [{"ph": "M", "name": "process_name", "pid": 1, "args": {"name": "sluice"}}]}


class TraceTasksTest(unittest.TestCase):
    def setUp(self):
        self.tasks = read_tasks(trace())

    def named(self, name):
        return next(task for task in self.tasks if task.name.startswith(name))

    def test_a_task_is_read_whole(self):
        task = self.named("expert_group")
        self.assertEqual((task.lane, task.track, task.kind, task.layer, task.micro_batch, task.iteration, task.start, task.end),
                         ("host compute", 0, "experts", 0, 0, 1, 6, 8))
        self.assertEqual([self.named(name).kind for name in ("embed", "qkv", "weights", "attend", "head")],
                         ["other", "qkv", "weights", "attend", "head, sample"])
        self.assertEqual(self.named("embed").layer, -1)

    def test_tracks_of_a_lane_are_one_lane(self):
        self.assertEqual(lanes_of(self.tasks), ["host compute", "disk"])
        self.assertEqual({task.track for task in self.tasks if task.lane == "disk"}, {0, 1})

    def test_pages_that_were_there_have_no_prediction(self):
        self.assertEqual([task.predicted for task in self.tasks if task.name.startswith("weights")], [4, 4, 0])

    def test_windows(self):
        self.assertEqual(window_of(self.tasks), (0, 20))
        self.assertEqual(window_of(self.tasks, (1, 1)), (0, 8))
        self.assertEqual(window_of(self.tasks, (1, 1), (0, 0)), (1, 8))
        self.assertIsNone(window_of(self.tasks, (7, 8)))
        many = [(1, f"embed mb{i % 2}", i, i, i + 1, 0) for i in range(1, 12)]
        self.assertEqual(steady_iterations(read_tasks(trace(many))), (4, 7))

    def test_busy_counts_what_overlaps_once(self):
        disk = [task for task in self.tasks if task.lane == "disk"]
        self.assertAlmostEqual(busy_share(disk, 0, 20), 6 / 20)
        self.assertAlmostEqual(busy_share(disk, 3, 7), 3 / 4)
        self.assertEqual(busy_share([], 0, 20), 0)

    def test_layers_begin_with_their_first_stage(self):
        self.assertEqual(layer_changes(self.tasks), [(1, 0), (8, 1)])

    def test_narrow_boxes_are_merged_to_neighbours_of_their_colour(self):
        def spans(*boxes):
            return [(box.x, box.end, box.fill) for box in merge([Box(*box) for box in boxes], 0.5, 0.02)]
        self.assertEqual(spans((0, 3, "a"), (3.1, 3.2, "a"), (3.3, 3.4, "a")), [(0, 3.4, "a")])
        self.assertEqual(spans((0, 3, "a"), (3, 6, "a")), [(0, 3, "a"), (3, 6, "a")])
        self.assertEqual(spans((0, 0.2, "a"), (0.2, 0.4, "b"), (0.4, 0.6, "b")), [(0, 0.2, "a"), (0.2, 0.6, "b")])
        self.assertEqual(spans((0, 0.2, "a"), (1, 1.2, "a")), [(0, 0.2, "a"), (1, 1.2, "a")])
        self.assertEqual(spans((0, 0.01, "a"), (4, 5, "b")), [(4, 5, "b")])


class PictureTest(unittest.TestCase):
    def draw(self, *options, tasks=tuple(TASKS), fails=""):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "run.json")
            with open(path, "w", encoding="utf-8") as file:
                json.dump(trace(tasks), file)
            run = subprocess.run([sys.executable, "-B", DRAW, path, "-", *options], capture_output=True, text=True, encoding="utf-8")
        self.assertEqual(run.returncode, 1 if fails else 0, run.stderr)
        self.assertIn(fails, run.stderr)
        return None if fails else ElementTree.fromstring(run.stdout)

    @staticmethod
    def lanes(svg):
        return {lane.get("data-name"): lane for lane in svg.iter(SVG + "g")}

    @staticmethod
    def texts(svg):
        return [text.text for text in svg.iter(SVG + "text")]

    def busy(self, svg):
        return {name: next(text.text for text in lane if text.get("class") == "busy") for name, lane in self.lanes(svg).items()}

    def test_rows_shares_ticks_and_title(self):
        svg = self.draw("--title", "a < b", "--width", "800")
        self.assertEqual(self.busy(svg), {"host compute": "60 %", "disk": "30 %"})
        texts = self.texts(svg)
        for text in ("a < b", "0 ms", "10 ms", "20 ms", "L0", "weights", "micro-batch 0", "predicted"):
            self.assertIn(text, texts)
        self.assertEqual(svg.get("width"), "800")

    def test_the_window_cuts(self):
        svg = self.draw("--from", "3", "--to", "7")
        self.assertEqual(self.busy(svg), {"host compute": "25 %", "disk": "75 %"})
        for lane in self.lanes(svg).values():
            for path in lane.iter(SVG + "path"):
                for x, width in re.findall(r"M([\d.]+) [\d.]+h([\d.]+)v", path.get("d")):
                    self.assertGreaterEqual(float(x), 118)
                    self.assertLessEqual(float(x) + float(width), 942.01)

    def test_a_detail_draws_the_lanes_twice(self):
        names = [lane.get("data-name") for lane in self.draw("--detail", "2-6").iter(SVG + "g")]
        self.assertEqual(names, ["host compute", "disk"] * 2)

    def test_many_tasks_make_a_small_picture(self):
        tasks = [(1, f"L00 expert_group {i % 8} mb0", 1, i, i + 0.9, 1) for i in range(20000)]
        svg = self.draw(tasks=tasks)
        self.assertLess(len(ElementTree.tostring(svg)), 20000)
        self.assertEqual(self.busy(svg)["host compute"], "90 %")

    def test_what_cannot_be_drawn(self):
        self.draw(tasks=(), fails="has no task")
        self.draw("--iterations", "7", fails="nothing of the trace")
        self.draw("--detail", "2-60", fails="not within the window")


if __name__ == "__main__":
    unittest.main()
