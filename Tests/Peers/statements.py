"""Reads a night's report back, each file with a reader of its own kind, and says what it found.

    statements.py FOLDER DAY SCHEMA

prints one JSON object: for each form the figures that it tells, by name, as exact decimals; the ids
that it lists; and what is wrong with it.
"""

import csv
import datetime
import html.parser
import io
import json
import re
import subprocess
import sys
from decimal import Decimal

import jsonschema
import openpyxl

STANDS = ["available", "held", "spent"]
MOVES = ["granted", "held", "captured", "voided", "charged", "refunded", "adjusted"]
MONEY = ["revenue", "cost", "margin", "leaked", "usage"]


def exact(value):
    """A number as text, without an exponent and without zeros behind it."""
    number = Decimal(str(value if value not in (None, "") else 0))
    text = format(number, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("", "-0") else text


class Place:
    def __init__(self, folder, day, schema):
        self.day, self.schema = day, schema
        self.stem = f"{folder}/holdfast-{day}"

    def bytes(self, ending):
        with open(self.stem + ending, "rb") as file:
            return file.read()


# CSV, by the rules that a spreadsheet reads it with.

FORMULA = re.compile(r"^[\s\u200b\u200e\ufeff]*[=+\-@|%＝＋－＠％｜]")
NUMBER = re.compile(r"^\s*[\d.,:/+\-eE% ]+$")


def table(place, ending, texts):
    raw = place.bytes(ending)
    problems = []
    text = raw.decode("utf-8-sig")
    if not text.endswith("\r\n"):
        problems.append(f"{ending}: does not end with CRLF")
    rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    head, rows = rows[0], rows[1:]
    out = []
    for row in rows:
        if len(row) != len(head):
            problems.append(f"{ending}: {len(row)} cells in {row}")
            continue
        record = dict(zip(head, row))
        for name, cell in record.items():
            if name in texts:
                if FORMULA.match(cell) or (cell and NUMBER.match(cell)):
                    problems.append(f"{ending}: {name} would be computed: {cell!r}")
                if any(ord(c) < 32 for c in cell):
                    problems.append(f"{ending}: {name} has a control character: {cell!r}")
                record[name] = cell[1:] if cell.startswith("'") else cell
            elif FORMULA.match(cell) and not re.fullmatch(r"-?\d+(\.\d+)?", cell):
                problems.append(f"{ending}: {name} is no number: {cell!r}")
        out.append(record)
    return out, problems


def total(rows, name):
    return exact(sum((Decimal(row[name]) for row in rows if row[name]), Decimal(0)))


def read_csv(place):
    problems = []

    def read(ending, texts):
        rows, wrong = table(place, ending, texts)
        problems.extend(wrong)
        return rows

    summary = read("-summary.csv", ["unit"])
    accounts = read("-accounts.csv", ["account_id"])
    models = read("-models.csv", ["provider", "model", "kind", "currency"])
    usage = read("-usage.csv", ["provider", "unit", "currency"])
    breaks = read(
        "-breaks.csv",
        ["kind", "subject", "job_id", "account_id", "provider", "model", "loses", "unit",
         "currency", "detail", "cause", "command"])
    for row in accounts:
        check_account(row, problems)
    for row in models:
        expected = ""
        if row["revenue"] and row["cost"]:
            expected = exact(Decimal(row["revenue"]) - Decimal(row["cost"]))
        if (exact(row["margin"]) if row["margin"] else "") != expected:
            problems.append(f"margin of {row}")
    figures = {name: total(accounts, name) for name in MOVES}
    for name in ["revenue", "cost", "leaked"]:
        figures[name] = total(models, name)
    figures["margin"] = exact(Decimal(figures["revenue"]) - Decimal(figures["cost"]))
    figures["usage"] = total(usage, "money")
    figures["unpriced_lines"] = total(models, "unpriced_lines")
    figures["entries"] = total(accounts, "entries")
    figures["accounts_moved"] = str(len(accounts))
    figures |= statuses([row["status"] for row in breaks])
    told = {row["figure"]: exact(row["value"]) for row in summary if row["figure"] != "problems"}
    return {
        "figures": figures, "summary": told, "problems": problems,
        "accounts": [row["account_id"] for row in accounts],
        "breaks": [[row["job_id"], row["command"]] for row in breaks],
        "numbers": [row["account_id"] for row in accounts if row["adjusted"].startswith("-")],
    }


def check_account(row, problems):
    n = {name: int(value) for name, value in row.items()
         if name not in ("day", "account_id") and value}
    available = (n["opening_available"] + n["granted"] + n["adjusted"] - n["held"] + n["voided"]
                 - n["charged"] + n["refunded"])
    held = n["opening_held"] + n["held"] - n["captured"] - n["voided"]
    spent = n["opening_spent"] + n["captured"] + n["charged"] - n["refunded"]
    if (available, held, spent) != tuple(n["closing_" + s] for s in STANDS):
        problems.append(f"account {row['account_id']} does not add up")


def statuses(words):
    return {
        "breaks_opened": str(words.count("opened")),
        "breaks_standing": str(words.count("standing")),
        "breaks_closed": str(sum(words.count(w) for w in ("healed", "fixed", "resolved"))),
    }


# JSON

def read_json(place):
    document = json.loads(place.bytes(".json"), parse_float=Decimal)
    with open(place.schema, encoding="utf-8") as file:
        schema = json.load(file)
    checker = jsonschema.Draft202012Validator(schema)
    checker.check_schema(schema)
    problems = [error.message[:300] for error in checker.iter_errors(document)][:5]
    for row in document["accounts"]:
        check_account({k: str(v) for k, v in row.items()}, problems)
    totals = document["totals"]
    figures = {f"opening_{s}": exact(totals["opening"][s]) for s in STANDS}
    figures |= {name: exact(totals["moves"][name]) for name in MOVES}
    figures |= {f"closing_{s}": exact(totals["closing"][s]) for s in STANDS}
    figures |= {name: exact(totals["money"][name]) for name in MONEY}
    figures |= {name: exact(value) for name, value in totals["counts"].items()}
    summed = {name: exact(sum(row[name] for row in document["accounts"])) for name in MOVES}
    for name in ["revenue", "cost", "leaked"]:
        summed[name] = exact(sum(Decimal(row[name] or 0) for row in document["models"]))
    summed["usage"] = exact(sum(Decimal(row["money"] or 0) for row in document["usage"]))
    summed |= statuses([row["status"] for row in document["breaks"]])
    for stand in STANDS:
        listed = sum(row["closing_" + stand] for row in document["accounts"])
        summed["closing_" + stand] = exact(listed + totals["unmoved_accounts"][stand])
    return {
        "figures": figures, "summed": summed, "problems": problems,
        "accounts": [row["account_id"] for row in document["accounts"]],
        "breaks": [[row["job_id"], row["command"]] for row in document["breaks"]],
    }


# XLSX

class Book:
    """A workbook whose formulas are computed here, next to what is kept beside them."""

    TOKEN = re.compile(
        r"(?P<call>SUM|COUNTIF)\((?P<range>[^(),]+)(?:,\"(?P<word>[^\"]*)\")?\)"
        r"|(?P<ref>(?:'[^']+'|\w+)!)?(?P<cell>[A-Z]+\d+)|(?P<sign>[+-])")

    def __init__(self, data):
        self.formulas = openpyxl.load_workbook(io.BytesIO(data))
        self.cached = openpyxl.load_workbook(io.BytesIO(data), data_only=True)

    def value(self, sheet, cell):
        found = self.formulas[sheet][cell].value
        if isinstance(found, str) and self.formulas[sheet][cell].data_type == "f":
            return self.compute(sheet, found[1:])
        return Decimal(str(found if found not in (None, "") else 0))

    def compute(self, sheet, formula):
        result, sign, place = Decimal(0), 1, 0
        while place < len(formula):
            token = self.TOKEN.match(formula, place)
            if not token:
                raise ValueError(f"no formula of ours: {formula}")
            place = token.end()
            if token["sign"]:
                sign = -1 if token["sign"] == "-" else 1
                continue
            if token["call"]:
                name, cells = sheet, token["range"]
                if "!" in cells:
                    name, cells = cells.split("!")
                    name = name.strip("'")
                values = [c for row in self.formulas[name][cells] for c in row]
                if token["call"] == "SUM":
                    part = sum((self.value(name, c.coordinate) for c in values
                                if c.data_type in "nf"), Decimal(0))
                else:
                    part = Decimal(sum(1 for c in values if c.value == token["word"]))
            else:
                name = (token["ref"] or sheet + "!")[:-1].strip("'")
                part = self.value(name, token["cell"])
            result += sign * part
            sign = 1
        return result


def read_xlsx(place):
    book = Book(place.bytes(".xlsx"))
    problems, formulas = [], 0
    for sheet in book.formulas.worksheets:
        if sheet.freeze_panes != "A2":
            problems.append(f"{sheet.title}: the header is not frozen")
        for row in sheet.iter_rows():
            for cell in row:
                if cell.data_type != "f":
                    continue
                formulas += 1
                kept = book.cached[sheet.title][cell.coordinate].value
                computed = book.compute(sheet.title, cell.value[1:])
                # A spreadsheet adds in binary: the last digit but two of a double decides.
                if exact(kept) != exact(computed):
                    problems.append(f"{sheet.title}!{cell.coordinate}: {kept} is not {computed}")
    summary = book.cached["Summary"]
    rows = {row[0].value: [c.value for c in row[1:]] for row in summary.iter_rows() if row[0].value}
    figures = {}
    for stand, column in zip(STANDS, (1, 2, 3)):
        figures[f"opening_{stand}"] = exact(rows["Opening"][column])
        figures[f"closing_{stand}"] = exact(rows["Closing"][column])
        if exact(rows["Difference"][column]) != "0":
            problems.append(f"{stand} differs from what was sealed")
    for name in MOVES:
        figures[name] = exact(rows[name.capitalize()][0])
    for name, row in {"revenue": "Revenue", "cost": "Provider cost", "margin": "Margin",
                      "leaked": "Leaked", "usage": "Charged by providers",
                      "unpriced_lines": "Usage lines without a rate", "entries": "Entries",
                      "accounts_moved": "Accounts that moved", "breaks_opened": "Opened",
                      "breaks_standing": "Standing", "breaks_closed": "Closed"}.items():
        # "Closed" is also when the day was closed, further down.
        value = rows[row][0]
        if row == "Closed":
            value = next(r[1].value for r in summary.iter_rows() if r[0].value == "Closed")
        figures[name] = exact(value)

    def ids(name, columns):
        found = []
        for sheet in book.formulas.worksheets:
            if sheet.title == name or sheet.title.startswith(name + " "):
                rows = list(sheet.iter_rows(min_row=2))[:-1]
                for row in rows:
                    for column in columns:
                        if row[column].value is not None and row[column].data_type not in "s":
                            problems.append(f"{name}: {row[column].coordinate} is no text")
                    found.append([plain(row[c].value) for c in columns])
        return found

    return {
        "figures": figures, "problems": problems[:10], "formulas": formulas,
        "sheets": book.formulas.sheetnames,
        "accounts": [row[0] for row in ids("Accounts", [0])],
        "breaks": ids("Breaks", [5, 16]),
    }


def plain(text):
    return re.sub(r"_x005F_", "_", text or "")


# hledger

def read_journal(place):
    path = place.stem + ".journal"
    problems = []

    def run(*arguments):
        done = subprocess.run(
            ["hledger", "--file", path, *arguments], capture_output=True, text=True, timeout=100,
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"})
        if done.returncode != 0:
            problems.append(" ".join(arguments) + ": " + done.stderr[:600])
        return done.stdout

    def balance(*query):
        rows = csv.reader(io.StringIO(run("balance", "--flat", "--no-total", "--output-format=csv", *query)))
        found = {}
        for row in list(rows)[1:]:
            amount = row[1].strip()
            found[row[0]] = exact(amount.split(" ")[0].rstrip(".") or 0)
        return found

    run("check")
    run("check", "ordereddates")
    closing = balance("--depth=2", "--empty", "credits:")
    opening = balance("--depth=2", "--empty", "credits:", "desc:opening")
    figures = {f"closing_{s}": closing.get("credits:" + s, "0") for s in STANDS}
    figures |= {f"opening_{s}": opening.get("credits:" + s, "0") for s in STANDS}
    equity = balance("--depth=2", "equity:")
    for name in ["granted", "adjusted"]:
        figures[name] = exact(-Decimal(equity.get("equity:" + name, "0")))
    figures["revenue"] = exact(-Decimal(balance("--depth=1", "income:").get("income", "0")))
    figures["cost"] = balance("--depth=2", "expenses:provider:").get("expenses:provider", "0")
    figures["margin"] = exact(Decimal(figures["revenue"]) - Decimal(figures["cost"]))
    figures["leaked"] = exact(sum(
        (Decimal(v) for v in balance("expenses:provider:.*:leaked$").values()), Decimal(0)))
    figures["usage"] = exact(-Decimal(
        balance("--depth=2", "liabilities:provider:").get("liabilities:provider", "0")))
    names = [name.removeprefix("credits:available:") for name in
             run("accounts", "credits:available:").splitlines() if ":" in name]
    return {
        "figures": figures, "problems": problems,
        "accounts": [unescape(n) for n in names if n != "accounts that did not move"],
    }


def unescape(name):
    if name == "%":
        return ""
    return re.sub(
        rb"%([0-9A-F]{2})", lambda m: bytes([int(m[1], 16)]), name.encode()).decode()


# HTML

class Page(html.parser.HTMLParser):
    VOID = {"meta", "br", "line", "rect", "polygon", "polyline", "input", "link", "img"}

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.stack, self.problems, self.tables, self.text = [], [], {}, []
        self.table = self.row = self.cell = None
        self.breaks, self.tags, self.links = [], {}, []
        self.svgs = self.titles = 0

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags[tag] = self.tags.get(tag, 0) + 1
        for name, value in attributes.items():
            if name.startswith("on") or (value or "").lower().startswith("javascript:"):
                self.problems.append(f"{tag} runs {name}={value}")
            if name == "href":
                self.links.append(value)
        if tag not in self.VOID:
            self.stack.append(tag)
        if tag == "table":
            self.table = self.tables.setdefault(
                attributes.get("id", "?").removeprefix("table-"), [])
        elif tag == "tr":
            self.row = []
        elif tag in ("td", "th"):
            self.cell = ["", None]
            if tag == "th" and attributes.get("scope") not in ("col", "row"):
                self.problems.append("a th without a scope")
        elif tag == "data" and self.cell is not None:
            self.cell[1] = attributes["value"]
        elif tag == "svg" and attributes.get("role") == "img":
            self.svgs += 1
        elif tag == "title" and len(self.stack) > 2 and self.stack[-2] == "svg":
            self.titles += 1
        elif tag == "li" and attributes.get("id", "").startswith("break-"):
            self.breaks.append({"job": "", "next": ""})

    def handle_endtag(self, tag):
        if tag in self.VOID:
            return
        if not self.stack or self.stack.pop() != tag:
            self.problems.append(f"</{tag}> closes nothing, at {self.getpos()}")
        if tag in ("td", "th") and self.row is not None:
            self.row.append(self.cell[1] if self.cell[1] is not None else self.cell[0].strip())
            self.cell = None
        elif tag == "tr" and self.table is not None:
            self.table.append(self.row)
        elif tag == "table":
            self.table = None

    def handle_data(self, text):
        self.text.append(text)
        if self.cell is not None:
            self.cell[0] += text
        if self.breaks and "li" in self.stack:
            if self.stack[-1] == "b":
                self.breaks[-1]["job"] += text
            elif self.stack[-1] == "code":
                self.breaks[-1]["next"] += text


def read_html(place):
    page = Page()
    page.feed(place.bytes(".html").decode())
    page.close()
    problems = page.problems
    if page.stack:
        problems.append(f"left open: {page.stack}")
    for tag in ("script", "iframe", "img", "link", "object", "form"):
        if tag in page.tags:
            problems.append(f"there is a {tag}")
    if page.svgs != page.titles:
        problems.append(f"{page.svgs} pictures have {page.titles} titles")
    for link in page.links:
        if not link.startswith("#") and not link.startswith("https://"):
            problems.append(f"a link leads to {link}")
    credits = {row[0]: row[1:] for row in page.tables["credits"]}
    figures = {}
    for stand, column in zip(STANDS, (1, 2, 3)):
        figures[f"opening_{stand}"] = exact(credits["Opening"][column])
        figures[f"closing_{stand}"] = exact(credits["Closing"][column])
    for name, row in zip(MOVES, ["Granted", "Held", "Captured", "Voided", "Charged late",
                                 "Refunded", "Adjusted"]):
        figures[name] = exact(credits[row][0])
    models = page.tables["models"][-1]
    for name, column in {"revenue": 6, "cost": 7, "margin": 8, "leaked": 9,
                         "unpriced_lines": 10}.items():
        figures[name] = exact(models[column])
    figures["usage"] = exact(page.tables["usage"][-1][4])
    accounts = page.tables["accounts"]
    return {
        "figures": figures, "problems": problems, "text": " ".join(page.text),
        "accounts": [row[0] for row in accounts[1:-1]],
        "breaks": [[b["job"], b["next"]] for b in page.breaks], "svgs": page.svgs,
    }


def main():
    place = Place(*sys.argv[1:4])
    datetime.date.fromisoformat(place.day)
    json.dump({
        "csv": read_csv(place), "json": read_json(place), "xlsx": read_xlsx(place),
        "journal": read_journal(place), "html": read_html(place),
    }, sys.stdout)


main()
