/** Results of trainings, written by scripts/record-evidence.ts from what `lineage experiment --out` wrote. */
import type { RecordedTraining } from '../evidence.ts'

export const TRAININGS: readonly RecordedTraining[] = [
  {
    experiment: 'gate',
    command: 'lineage experiment gate --seeds 3 --scale 0.5',
    date: '2026-11-29',
    seeds: 3,
    scale: 0.5,
    runs: [
      ['GELU without a gate', 1, 100224, 1.47896, 1.47896, 0.543132, 1028],
      ['GELU without a gate', 2, 100224, 1.47479, 1.47479, 0.540934, 1025],
      ['GELU without a gate', 3, 100224, 1.46762, 1.46762, 0.542318, 1045],
      ['SwiGLU', 1, 100224, 1.44786, 1.44786, 0.551432, 1100],
      ['SwiGLU', 2, 100224, 1.46858, 1.46858, 0.546549, 1101],
      ['SwiGLU', 3, 100224, 1.43013, 1.43013, 0.550049, 1067],
      ['GEGLU', 1, 100224, 1.44545, 1.44545, 0.547201, 395],
      ['GEGLU', 2, 100224, 1.45444, 1.45444, 0.548584, 401],
      ['GEGLU', 3, 100224, 1.41713, 1.41713, 0.559977, 408],
    ],
  },
  {
    experiment: 'kv-heads',
    command: 'lineage experiment kv-heads --seeds 3',
    date: '2026-11-29',
    seeds: 3,
    scale: 1,
    runs: [
      ['4 of 4', 1, 112064, 0.920682, 0.920682, 0.53405, 3254],
      ['4 of 4', 2, 112064, 0.000920191, 0.000920191, 1, 3346],
      ['4 of 4', 3, 112064, 0.00112214, 0.00112214, 1, 2047],
      ['2 of 4', 1, 95680, 0.00128614, 0.00128614, 1, 2625],
      ['2 of 4', 2, 95680, 0.000788557, 0.000788557, 1, 2607],
      ['2 of 4', 3, 95680, 0.00134483, 0.00134483, 1, 3421],
      ['1 of 4', 1, 87488, 0.992911, 0.992911, 0.516129, 2093],
      ['1 of 4', 2, 87488, 0.0011023, 0.0011023, 1, 1783],
      ['1 of 4', 3, 87488, 0.00266297, 0.00266297, 1, 3385],
    ],
  },
  {
    experiment: 'look-up',
    command: 'lineage experiment look-up --seeds 3',
    date: '2026-11-29',
    seeds: 3,
    scale: 1,
    runs: [
      ['memory, facts shown in training', 1, 101760, 0.000994037, 0.000994037, 1, 4571],
      ['memory, facts shown in training', 2, 101760, 0.00100761, 0.00100761, 1, 4849],
      ['memory, facts shown in training', 3, 101760, 0.000940556, 0.000940556, 1, 2526],
      ['memory, facts never shown', 1, 101760, 8.69678, 5.89562, 0.00683594, 2418],
      ['memory, facts never shown', 2, 101760, 8.59468, 5.80164, 0.00195313, 1723],
      ['memory, facts never shown', 3, 101760, 8.31551, 5.74072, 0.00488281, 1634],
      ['tool, facts never shown', 1, 101760, 0.150612, 0.150612, 0.959635, 1747],
      ['tool, facts never shown', 2, 101760, 0.151098, 0.150859, 0.973958, 1889],
      ['tool, facts never shown', 3, 101760, 0.129437, 0.12865, 0.969401, 3398],
    ],
  },
]
