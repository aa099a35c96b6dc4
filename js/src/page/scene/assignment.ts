/**
 * The assignment with the least cost in all: the shortest augmenting paths of Crouse, "On implementing 2D rectangular
 * assignment algorithms" (2016). It chooses among equally good ones as SciPy's linear_sum_assignment does, so that the page
 * finds the same films as Python.
 */

import { value } from "./arrays.ts";

/** For each of `nRows` rows a column of its own; there are as many columns, or more. */
export function assigned(nRows: number, nCols: number, cost: (row: number, col: number) => number): Int32Array {
  const u = new Float64Array(nRows);
  const v = new Float64Array(nCols);
  const path = new Int32Array(nCols).fill(-1);
  const colOf = new Int32Array(nRows).fill(-1);
  const rowOf = new Int32Array(nCols).fill(-1);
  const remaining = new Int32Array(nCols);
  const shortest = new Float64Array(nCols);
  const rowsSeen = new Uint8Array(nRows);
  const colsSeen = new Uint8Array(nCols);
  for (let start = 0; start < nRows; start++) {
    // In reverse, so that the assignment of equal costs is the identity.
    for (let i = 0; i < nCols; i++) remaining[i] = nCols - i - 1;
    let nRemaining = nCols;
    rowsSeen.fill(0);
    colsSeen.fill(0);
    shortest.fill(Number.POSITIVE_INFINITY);
    let [row, sink, least] = [start, -1, 0];
    while (sink < 0) {
      let [index, lowest] = [-1, Number.POSITIVE_INFINITY];
      rowsSeen[row] = 1;
      for (let i = 0; i < nRemaining; i++) {
        const j = value(remaining, i);
        const length = least + cost(row, j) - value(u, row) - value(v, j);
        if (length < value(shortest, j)) {
          path[j] = row;
          shortest[j] = length;
        }
        const known = value(shortest, j);
        if (known < lowest || (known === lowest && rowOf[j] === -1)) [lowest, index] = [known, i];
      }
      least = lowest;
      const j = value(remaining, index);
      if (rowOf[j] === -1) sink = j;
      else row = value(rowOf, j);
      colsSeen[j] = 1;
      remaining[index] = value(remaining, --nRemaining);
    }
    u[start] = value(u, start) + least;
    for (let i = 0; i < nRows; i++)
      if (rowsSeen[i] && i !== start) u[i] = value(u, i) + least - value(shortest, value(colOf, i));
    for (let j = 0; j < nCols; j++) if (colsSeen[j]) v[j] = value(v, j) - (least - value(shortest, j));
    for (let j = sink; ; ) {
      const i = value(path, j);
      rowOf[j] = i;
      const next = value(colOf, i);
      colOf[i] = j;
      if (i === start) break;
      j = next;
    }
  }
  return colOf;
}
