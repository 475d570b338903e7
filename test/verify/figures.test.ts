/** The figures: each drawn from numbers of its own, readable on a phone, and the same as on the page. */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { figureFiles } from '../../scripts/figures-page.ts'
import { root } from '../../scripts/sources.ts'
import { createReferenceBackend } from '../../src/ops/reference/reference.ts'
import { drawFigure, figures } from '../../src/verify/figures.ts'
import { lineage } from '../cli/run.ts'
import { noChromium, startChromium } from '../web/chromium.ts'

test('each figure once, in order, with title, description and source', () => {
  const numbers = figures.map(({ id }) => Number(/^F(\d+)$/.exec(id)?.[1]))
  assert.deepEqual(
    numbers,
    [...new Set(numbers)].sort((a, b) => a - b),
  )
  for (const { id, title, describes, source } of figures) {
    assert.match(title, new RegExp(`^Figure ${id.slice(1)}: .`))
    for (const said of [describes, source]) assert.match(said, /.{20}\.$/, id)
  }
})

test('docs/figures.md and its pictures are current (node scripts/figures-page.ts)', async () => {
  const files = await figureFiles()
  for (const [path, content] of files) assert.equal(readFileSync(join(root, 'docs', path), 'utf8'), content, path)
  const pictures = [...files.keys()].filter((path) => path.endsWith('.svg')).map((path) => path.replace('images/figures/', ''))
  assert.deepEqual(readdirSync(join(root, 'docs/images/figures')).sort(), pictures.sort())
})

test('on a phone: no text below 11 pixels, none outside the picture, none over another', { skip: noChromium }, async () => {
  const browser = await startChromium()
  try {
    const page = await browser.newPage({ viewport: { width: 360, height: 800 } })
    for (const figure of figures) {
      const svg = await drawFigure(figure, createReferenceBackend())
      await page.setContent(`<body style="margin:0">${svg}</body>`)
      assert.deepEqual(await page.evaluate(faults), [], figure.id)
    }
  } finally {
    await browser.close()
  }
})

/** Runs in the page. */
function faults(): string[] {
  const picture = document.querySelector('svg')!.getBoundingClientRect()
  const texts = [...document.querySelectorAll('svg text')].map((element) => ({
    words: element.textContent,
    size: (Number.parseFloat(getComputedStyle(element).fontSize) * picture.width) / 360,
    box: element.getBoundingClientRect(),
    turned: element.closest('g[transform^=rotate]') !== null,
  }))
  const found: string[] = picture.width === 360 ? [] : [`the picture is ${picture.width} pixels wide`]
  texts.forEach(({ words, size, box, turned }, index) => {
    if (size < 10.99) found.push(`"${words}" has ${size} pixels`)
    if (box.left < 0 || box.right > picture.right || box.top < 0 || box.bottom > picture.bottom) found.push(`"${words}" is cut`)
    for (const other of texts.slice(index + 1)) {
      if (turned || other.turned) continue
      const across = Math.min(box.right, other.box.right) - Math.max(box.left, other.box.left)
      const down = Math.min(box.bottom, other.box.bottom) - Math.max(box.top, other.box.top)
      // Boxes of text have room above and below the letters.
      if (across > 1 && down > 4) found.push(`"${words}" and "${other.words}" overlap`)
    }
  })
  return found
}

test('the command draws one figure, several, or all', () => {
  const directory = mkdtempSync(join(tmpdir(), 'lineage-figures-'))
  try {
    const one = lineage(['verify', 'f5'])
    assert.equal(one.code, 0)
    assert.match(one.out, /^<svg xmlns=.*<title>Figure 5: .*<\/svg>\n$/s)
    const file = join(directory, 'x.svg')
    assert.equal(lineage(['verify', 'F5', '--out', file]).out, `${file}\n`)
    assert.equal(readFileSync(file, 'utf8'), one.out)
    lineage(['verify', 'F11', 'F12', '--figures', directory])
    assert.deepEqual(readdirSync(directory).sort(), ['F11.svg', 'F12.svg', 'x.svg'])
    const [json] = JSON.parse(lineage(['verify', 'F5', '--json']).out) as { id: string; svg: string }[]
    assert.deepEqual([json!.id, json!.svg], ['F5', one.out])
    writeFileSync(file, 'mine')
    for (const [words, problem] of [
      [['F0'], /unknown figure "F0"; expected F1 to F\d+/],
      [['F25'], /unknown figure "F25"/],
      [['F5', 'C1'], /expected figures alone, got F5 C1/],
      [['F5', 'F11', '--out', file], /--out takes one figure/],
      [['--out', file], /--out takes one figure/],
      [['F5', '--out', file], /there is a file that this command did not write/],
      [['F5', '--out', join(directory, 'nowhere', 'x.svg')], /there is no directory/],
      [['--figures', join(directory, 'nowhere')], /there is no directory/],
    ] as const) {
      const { code, err } = lineage(['verify', ...words])
      assert.notEqual(code, 0, words.join(' '))
      assert.match(err, problem)
    }
    assert.equal(readFileSync(file, 'utf8'), 'mine')
  } finally {
    rmSync(directory, { recursive: true })
  }
})
