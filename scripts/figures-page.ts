/**
 * Writes docs/figures.md and the pictures in docs/images/figures: every figure of the article drawn from this program's numbers.
 * A test draws them again and compares.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createReferenceBackend } from '../src/ops/reference/reference.ts'
import { drawFigure, figures } from '../src/verify/figures.ts'
import { root } from './sources.ts'

/** Where the pictures are, from docs/. */
const IMAGES = 'images/figures'

/** The page, and the pictures beside it, by path from docs/. */
export async function figureFiles(): Promise<Map<string, string>> {
  const files = new Map<string, string>()
  const sections: string[] = []
  for (const figure of figures) {
    const path = `${IMAGES}/${figure.id}.svg`
    files.set(path, await drawFigure(figure, createReferenceBackend()))
    sections.push(
      `## ${figure.title}`,
      `![${figure.title}](${path})`,
      figure.describes,
      `Source: ${figure.source} Draw it: \`lineage verify ${figure.id}\`.`,
    )
  }
  const page = [
    '# The figures of the article',
    'Sebastian Raschka, *From GPT-2 to gpt-oss: Analyzing the Architectural Advances* (2025), has 24 figures. Here they are drawn anew: the subjects and numbers are those of the article, drawings ' +
      'and sentences are ours, and what they show comes from this program: configurations, lists of weights, single ops, runs. All are 360 units wide, so that they are readable on a phone, and follow ' +
      'the light or dark scheme of the reader. `lineage verify F7` draws one, `lineage verify --figures DIRECTORY` all. `node scripts/figures-page.ts` writes this page, and a test compares.',
    ...sections,
  ]
  return files.set('figures.md', `${page.join('\n\n')}\n`)
}

if (import.meta.main) {
  mkdirSync(join(root, 'docs', IMAGES), { recursive: true })
  for (const [path, content] of await figureFiles()) {
    writeFileSync(join(root, 'docs', path), content)
    console.log(`docs/${path}`)
  }
}
