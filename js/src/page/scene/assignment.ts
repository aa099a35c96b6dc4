/**
 * The assignment with the least cost in all: the shortest augmenting paths of Crouse, "On implementing 2D rectangular
 * assignment algorithms" (2016). It chooses among equally good ones as SciPy's linear_sum_assignment does, so that the page
 * finds the same films as Python.
 */

/**
 * For each of `nRows` rows a column of its own; there are as many columns, or more. `costs` is (nRows, nCols).
 *
 * All indices are in range; the loops read without fallbacks, because a film needs many millions of these reads.
 */
export function assigned(nRows: number, nCols: number, costs: Float64Array): Int32Array {
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
    let row = start;
    let sink = -1;
    let least = 0;
    while (sink < 0) {
      let index = -1;
      let lowest = Number.POSITIVE_INFINITY;
      rowsSeen[row] = 1;
      const base = row * nCols;
      const offset = least - (u[row] as number);
      for (let i = 0; i < nRemaining; i++) {
        const j = remaining[i] as number;
        const length = offset + (costs[base + j] as number) - (v[j] as number);
        let known = shortest[j] as number;
        if (length < known) {
          path[j] = row;
          known = length;
          shortest[j] = length;
        }
        if (known < lowest || (known === lowest && rowOf[j] === -1)) {
          lowest = known;
          index = i;
        }
      }
      least = lowest;
      const j = remaining[index] as number;
      if (rowOf[j] === -1) sink = j;
      else row = rowOf[j] as number;
      colsSeen[j] = 1;
      remaining[index] = remaining[--nRemaining] as number;
    }
    u[start] = (u[start] as number) + least;
    for (let i = 0; i < nRows; i++)
      if (rowsSeen[i] && i !== start) u[i] = (u[i] as number) + least - (shortest[colOf[i] as number] as number);
    for (let j = 0; j < nCols; j++) if (colsSeen[j]) v[j] = (v[j] as number) - (least - (shortest[j] as number));
    for (let j = sink; ; ) {
      const i = path[j] as number;
      rowOf[j] = i;
      const next = colOf[i] as number;
      colOf[i] = j;
      if (i === start) break;
      j = next;
    }
  }
  return colOf;
}
