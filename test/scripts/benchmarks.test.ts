/** docs/benchmarks.md and the README's table of speeds are what bench/results says, and raw runs become the right figures. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { figures, resultsIn } from '../../bench/figures.ts'
import type { PeerResults, Visit } from '../../bench/peers/visit.ts'
import { benchmarksPage, withSpeeds } from '../../bench/report.ts'
import { root } from '../../scripts/sources.ts'

const read = (path: string): string => readFileSync(join(root, path), 'utf8')

test('the page and the README are up to date', () => {
  const results = resultsIn()
  const page = benchmarksPage(results)
  assert.doesNotMatch(page, /undefined|NaN|\[object/)
  assert.equal(read('docs/benchmarks.md'), page, 'run: node bench/report.ts')
  assert.equal(read('README.md'), withSpeeds(read('README.md'), results), 'run: node bench/report.ts')
})

test('a figure that is changed by hand is seen', () => {
  const readme = read('README.md')
  const changed = readme.replace(/\| gpt-oss-20b \| [\d.]+ \//, '| gpt-oss-20b | 1.0 /')
  assert.notEqual(changed, readme)
  assert.equal(withSpeeds(changed, resultsIn()), readme)
  assert.throws(() => withSpeeds('no markers', resultsIn()), /expected the markers/)
})

test('figures of raw runs: medians over visits, ratios to the fastest setting', () => {
  const visit = (prefillMs: number[], decodeMs: number[]): Visit => ({ prefillMs, decodeMs, loadMs: 2000, peakResidentBytes: 3e9 })
  const raw: PeerResults = {
    ...{ kind: 'peers', date: '2031-02-03', cpu: 'a machine', node: 'v26', peer: 'a peer' },
    cases: [
      {
        ...{ name: 'case', prompt: 100, generate: 10, loadAverage: 0.04 },
        series: [
          { engine: 'llama.cpp', precision: '', threads: 1, visits: [visit([1000], [100])] },
          { engine: 'llama.cpp', precision: '', threads: 2, visits: [visit([500], [125])] },
          { engine: 'lineage', precision: 'faithful', threads: 2, visits: [visit([900, 400], [50]), visit([100], [50, 80])] },
        ],
        readBytesPerSecond: [30e9, 50e9],
        decodeBytes: 1e9,
      },
    ],
  }
  const found = figures(raw)
  assert.ok(found.kind === 'peers')
  const { rows, readGBPerSecond, decodeGB } = found.figures[0]!
  assert.deepEqual([readGBPerSecond, decodeGB], [[30, 50], 1])
  assert.deepEqual(rows.at(-1), {
    ...{ engine: 'lineage', precision: 'faithful', threads: 2 },
    ...{ prompt: 250, answer: 20, promptRatio: 1.25, answerRatio: 2, bandwidthShare: 0.5, loadSeconds: 2, peakGB: 3 },
  })
  assert.equal(rows[0]!.promptRatio, undefined)
  assert.deepEqual(figures(found), found)
})
