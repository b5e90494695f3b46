// The request for a row, as curl and as Python. Both read the secret from the environment.

const address = () => new URL("v1/score", document.baseURI).href;

export function asCurl(row, hasSecret) {
  const body = JSON.stringify({ rows: [row] });
  return [
    `curl -sS ${inShell(address())} -H 'Content-Type: application/json'`,
    ...(hasSecret ? [`-H "Authorization: Bearer $PLUMBLINE_SECRET"`] : []),
    `-d ${inShell(body)}`,
  ].join(" \\\n  ");
}

export function asPython(row, hasSecret) {
  const lines = Object.entries(row).map(([name, value]) => `    ${inPython(name)}: ${inPython(value)},`);
  return [
    "import json",
    ...(hasSecret ? ["import os"] : []),
    "import urllib.request",
    "",
    "row = {",
    ...lines,
    "}",
    "request = urllib.request.Request(",
    `    ${inPython(address())},`,
    `    data=json.dumps({"rows": [row]}).encode(),`,
    ...(hasSecret
      ? ["    headers={",
        `        "Content-Type": "application/json",`,
        `        "Authorization": "Bearer " + os.environ["PLUMBLINE_SECRET"],`,
        "    },"]
      : [`    headers={"Content-Type": "application/json"},`]),
    ")",
    "with urllib.request.urlopen(request) as answer:",
    `    print(json.load(answer)["click_probability"][0])`,
    "",
  ].join("\n");
}

/** A text as one word of a shell. */
function inShell(text) {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** A JSON value in Python. The texts of JSON are texts of Python. */
function inPython(value) {
  if (value === null) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  return Array.isArray(value) ? `[${value.map(inPython).join(", ")}]` : JSON.stringify(value);
}
