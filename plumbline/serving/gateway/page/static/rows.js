// Rows of any number to the gateway: in requests that it takes, and their answers put together.

import { postJson } from "./api.js";

/** The scores of rows: {version, probabilities}, in order and of one version. */
export async function score(rows, mostRows, signal) {
  const answers = await each("v1/score", rows, mostRows, signal);
  const probabilities = new Array(rows.length);
  for (const { places, answer } of answers) {
    places.forEach((place, i) => { probabilities[place] = answer.click_probability[i]; });
  }
  return { model: answers[0].answer.model, version: answers[0].answer.version, probabilities };
}

/** What the plan makes of rows: {version, outputs}, with a value a row in each output. */
export async function explain(rows, mostRows, signal) {
  const answers = await each("v1/page/explain", rows, mostRows, signal);
  const outputs = answers[0].answer.outputs.map((output) => ({ ...output }));
  outputs.forEach((output, index) => {
    for (const key of ["numbers", "ids", "unseen", "missing"].filter((one) => one in output)) {
      output[key] = new Array(rows.length);
      for (const { places, answer } of answers) {
        places.forEach((place, i) => { output[key][place] = answer.outputs[index][key][i]; });
      }
    }
  });
  return { version: answers[0].answer.version, outputs };
}

/** A version that is published between two requests makes them start again, once. */
async function each(path, rows, mostRows, signal) {
  for (const isLast of [false, true]) {
    const answers = [];
    for (const places of requestsOf(rows, mostRows)) {
      const answer = await postJson(path, { rows: places.map((place) => rows[place]) }, signal);
      answers.push({ places, answer });
    }
    if (isLast || new Set(answers.map(({ answer }) => answer.version)).size === 1) return answers;
  }
}

/** Places of the rows of each request. In one request, a column has values of one type. */
export function requestsOf(rows, mostRows) {
  const groups = [];
  rows.forEach((row, place) => {
    const types = Object.entries(row).map(([name, value]) => [name, typeOf(value)]).filter(([, t]) => t);
    const fits = (group) => group.places.length < mostRows
      && types.every(([name, type]) => (group.types.get(name) ?? type) === type);
    let group = groups.find(fits);
    if (!group) groups.push(group = { types: new Map(), places: [] });
    types.forEach(([name, type]) => group.types.set(name, type));
    group.places.push(place);
  });
  return groups.map((group) => group.places);
}

/** Of a list, that of its values; nothing for a missing value. */
function typeOf(value) {
  if (value === null) return null;
  return Array.isArray(value) ? `list of ${value.map(typeOf).find((one) => one) ?? ""}` : typeof value;
}
