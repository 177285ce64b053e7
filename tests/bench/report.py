"""The table: one row per comparison, as markdown and as JSON. Used by bench.py."""

import sys

from harness import Samples, wait_quiet


class Report:
    """Rows of the table; one row compares `ours` with `yardstick`, or stands alone."""

    def __init__(self, quiet_limit):
        self.rows, self.loads, self.quiet_limit = [], [], quiet_limit

    def quiet(self, what):
        load = wait_quiet(self.quiet_limit)
        self.loads.append({"before": what, "busy_percent": load})
        print(f"# {what}: machine {load} % busy", file=sys.stderr, flush=True)

    def row(self, name, ours, unit, yardstick=None, yardstick_name="", sense="at most", target=None, aim=None, note="",
            cpu_us=None):
        """`sense`: "at most" compares ours/yardstick, "faster" yardstick/ours, "more" ours/yardstick from below;
        without a yardstick the p50 itself is compared with target and aim."""
        ours, other = Samples(ours).summary(), Samples(yardstick or []).summary()
        value = ours["p50"]
        if other:
            value = other["p50"] / ours["p50"] if sense == "faster" else ours["p50"] / other["p50"]
        met = lambda bound: None if bound is None else (value <= bound if sense == "at most" else value >= bound)
        self.rows.append({"name": name, "unit": unit, "sandlot": ours, "yardstick_name": yardstick_name,
                          "yardstick": other, "value": value, "is_ratio": other is not None, "sense": sense,
                          "target": target, "aim": aim, "target_met": met(target), "aim_met": met(aim), "note": note,
                          "cpu_us_per_operation": cpu_us})
        print(f"#   {name}: {value:.3g} (target {target}, aim {aim})", file=sys.stderr, flush=True)

    def markdown(self):
        number = lambda x: f"{x:.0f}" if abs(x) >= 100 else f"{x:.3g}"
        three = lambda s: f"{number(s['min'])} / {number(s['p50'])} / {number(s['p99'])}" if s else ""
        lines = ["| what | sandlot min / p50 / p99 | yardstick | min / p50 / p99 | p50 ratio or value | target | aim | CPU us | note |",
                 "|---|---|---|---|---|---|---|---|---|"]
        for r in self.rows:
            sign = "<=" if r["sense"] == "at most" else ">="
            bound = lambda b, met: "" if b is None else f"{sign} {b} {'ok' if met else '**missed**'}"
            value = number(r["value"]) + ("x" + (" faster" if r["sense"] == "faster" else "") if r["is_ratio"] else f" {r['unit']}")
            cpu = r["cpu_us_per_operation"]
            lines.append(f"| {r['name']} | {three(r['sandlot'])} {r['unit']} | {r['yardstick_name']} | {three(r['yardstick'])} "
                         f"| {value} | {bound(r['target'], r['target_met'])} | {bound(r['aim'], r['aim_met'])} "
                         f"| {'' if cpu is None else number(cpu)} | {r['note']} |")
        loads = ", ".join(f"{entry['before']} {entry['busy_percent']} %" for entry in self.loads)
        return "\n".join(lines) + f"\n\nMachine busy before each part: {loads}.\n"
