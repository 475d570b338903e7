/**
 * Writes docs/claims.md: every claim of the article with verdict and reason, how it is decided, what was measured and what was expected,
 * and where numbers come from that are not made by the run. A test writes the page again and compares.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createReferenceBackend } from '../src/ops/reference/reference.ts'
import { KINDS, type Kind } from '../src/verify/claim.ts'
import { claims, verify } from '../src/verify/verify.ts'
import { root } from './sources.ts'

/** The page as text. */
export async function claimsPage(): Promise<string> {
  const sections: string[] = []
  for await (const { claim, measurements } of verify(createReferenceBackend())) {
    const notes = [...new Set(measurements.flatMap(({ from }) => from ?? []))]
    const rows = measurements.map(({ what, measured, expected, agrees, from }) => {
      const note = from === undefined ? '' : ` (${notes.indexOf(from) + 1})`
      return `| ${what}${note} | ${measured} | ${expected} | ${agrees ? '✓' : '✗'} |`
    })
    const verdict = `**${claim.verdict}**, ${KINDS[claim.kind]}${claim.note ? `: ${claim.note}` : '.'}`
    sections.push(
      [
        `### ${claim.id}`,
        claim.says,
        rows.length
          ? ['| what | measured | expected | |', '| --- | --- | --- | --- |', ...rows].join('\n')
          : `Not decided; it would take ${claim.instead}.`,
        ...(notes.length ? [notes.map((note, i) => `${i + 1}. ${note}`).join('\n')] : []),
        verdict,
      ].join('\n\n'),
    )
  }
  const own = claims.filter(({ id }) => id.startsWith('C'))
  const decided = own.filter(({ check }) => check).length
  const kinds = (Object.keys(KINDS) as Kind[])
    .map((kind) => `${own.filter((claim) => claim.kind === kind).length} ${KINDS[kind]}`)
    .join(', ')
  const count = (verdict: string): string => `${claims.filter((claim) => claim.verdict === verdict).length} ${verdict}`
  const summary = ['holds', 'imprecise', 'wrong', 'dated', 'open', 'opinion'].map(count).join(', ')
  return `${[
    '# The claims of the article',
    'Sebastian Raschka, *From GPT-2 to gpt-oss: Analyzing the Architectural Advances* (2025), read as statements that can be checked. The sentences are ours; the numbering follows the ' +
      `text. Of ${own.length} claims ${decided} are decided, by kind: ${kinds}. Two figures follow. Verdicts: ${summary}. \`lineage verify\` makes every number again, in seconds; trainings and times are those ` +
      'recorded with the project, and `lineage verify --train C7` trains again. Numbers in brackets name what a row rests on, below its table. `node scripts/claims-page.ts` writes this page, and a test compares.',
    ...sections,
  ].join('\n\n')}\n`
}

if (import.meta.main) {
  writeFileSync(join(root, 'docs', 'claims.md'), await claimsPage())
  console.log('docs/claims.md')
}
