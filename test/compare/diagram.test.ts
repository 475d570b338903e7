/** The drawing: well-formed, self-contained, small, and everything inside its own column. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { preset } from '../../src/architecture/presets.ts'
import { account } from '../../src/compare/account.ts'
import { diagram } from '../../src/compare/diagram.ts'

const draw = (...names: string[]) => {
  const architectures = names.map((name) => preset(name)!)
  return diagram(
    architectures,
    architectures.map((architecture) => account(architecture, { context: 1024 })),
  )
}

test('no script, nothing from elsewhere, both colour schemes, under 100 kB', () => {
  const svg = draw('gpt2-xl', 'gpt-oss-120b', 'Qwen3-Coder-480B-A35B', 'Gemma-3-27B')
  assert.ok(svg.length < 100_000, `${svg.length} bytes`)
  assert.doesNotMatch(svg, /<script|<foreignObject|href|url\(|@import|on\w+=/)
  assert.match(svg, /prefers-color-scheme: dark/)
  assert.match(svg, /^<svg [^>]*viewBox="0 0 [\d.]+ [\d.]+"/)
})

test('tags are balanced and attributes hold no stray characters', () => {
  const svg = draw('OLMo-2-7B', 'Mixtral-8x7B-v0.1')
  const open: string[] = []
  for (const [, close, name, rest] of svg.matchAll(/<(\/?)([a-z]+)([^>]*)>/g)) {
    if (close) assert.equal(open.pop(), name)
    else if (!rest!.endsWith('/')) open.push(name!)
  }
  assert.deepEqual(open, [])
  assert.doesNotMatch(svg, /NaN|undefined|Infinity/)
})

test('state-space layers have their colour, a layer without feed-forward has no box for it', () => {
  const svg = draw('Jamba-v0.1', 'Mamba-1.4B')
  assert.doesNotMatch(svg, /NaN|undefined|Infinity/)
  const titles = [...svg.matchAll(/class="title[^"]*">([^<]*)</g)].map(([, title]) => title)
  assert.deepEqual(
    titles.filter((title) => !/Norm|Output|embedding/.test(title!)),
    ['Gated feed-forward or experts', 'State space or grouped-query attention', 'State space'],
  )
  for (const text of ['states: 17.50 MiB', 'states: 15.00 MiB', 'state-space layer', '4 × state space,'])
    assert.ok(svg.includes(text), text)
  assert.ok(!draw('gpt2', 'gpt-oss-20b').includes('state space'))
})

test('a norm that is not there has no box, in any placement', () => {
  const plain = preset('gpt2')!
  for (const placement of ['pre', 'post', 'sandwich', 'parallel'] as const) {
    const layers = plain.layers.map((layer) => ({ ...layer, placement, norm: { kind: 'none' as const } }))
    const without = { ...plain, layers, finalNorm: { kind: 'none' as const } }
    for (const beside of [[], [plain]]) {
      const all = [without, ...beside]
      const svg = diagram(
        all,
        all.map((each) => account(each, { context: 8 })),
      )
      assert.equal(svg.match(/LayerNorm/g)?.length ?? 0, 3 * beside.length)
      assert.doesNotMatch(svg, /NaN|undefined|Infinity/)
    }
  }
})

test('names are escaped', () => {
  const named = { ...preset('gpt2')!, name: 'a<b>&"c"' }
  const svg = diagram([named, preset('gpt2-xl')!], [account(named), account(preset('gpt2-xl')!)])
  assert.match(svg, />a&lt;b&gt;&amp;&quot;c&quot;</)
})

test('differing values are marked, equal ones are not', () => {
  const svg = draw('gpt-oss-20b', 'gpt-oss-120b')
  const marked = [...svg.matchAll(/class="(?:times )?diff"[^>]*>([^<]*)</g)].map(([, value]) => value)
  assert.deepEqual(marked, ['24 ×', '32', '36 ×', '128'])
})

test('no text leaves its column', () => {
  for (const names of [
    ['gpt2-xl', 'gpt-oss-20b', 'Qwen3-30B-A3B'],
    ['Gemma-3-27B', 'Llama-3.1-405B', 'Gemma-2-9B'],
    ['gpt-oss-20b', 'Jamba-v0.1', 'Mamba-2.8B'],
  ]) {
    const svg = draw(...names)
    const width = Number(/viewBox="0 0 ([\d.]+)/.exec(svg)![1])
    const column = (width - 28) / names.length
    for (const [, x, attributes, content] of svg.matchAll(/<text x="([\d.]+)"([^>]*)>([^<]*)</g)) {
      if (attributes!.includes('note')) continue // the legend runs over the whole width
      const length = content!.length * (attributes!.includes('name') ? 10 : 6.4)
      const from = attributes!.includes('end') ? Number(x) - length : attributes!.includes('middle') ? Number(x) - length / 2 : Number(x)
      const first = Math.floor((Number(x) - 28) / column)
      assert.ok(from >= 28 + first * column - 12, `${content} starts too far left`)
      assert.ok(from + length <= 28 + (first + 1) * column + 4, `${content} ends too far right`)
    }
  }
})
