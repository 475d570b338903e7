/**
 * Writes docs/claims.md: every claim of the article with verdict and reason, what was measured and what was expected.
 * A test writes the page again and compares.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createReferenceBackend } from '../src/ops/reference/reference.ts'
import { claims, verify } from '../src/verify/verify.ts'
import { root } from './sources.ts'

/** The page as text. */
export async function claimsPage(): Promise<string> {
  const sections: string[] = []
  for await (const { claim, measurements } of verify(createReferenceBackend())) {
    const rows = measurements.map(
      ({ what, measured, expected, agrees }) => `| ${what} | ${measured} | ${expected} | ${agrees ? '✓' : '✗'} |`,
    )
    const verdict = `**${claim.verdict}**${claim.note ? `: ${claim.note}` : ''}`
    sections.push(
      [
        `### ${claim.id}`,
        claim.says,
        rows.length
          ? ['| what | measured | expected | |', '| --- | --- | --- | --- |', ...rows].join('\n')
          : `Not decided here; it would take: ${claim.instead}.`,
        verdict,
      ].join('\n\n'),
    )
  }
  const checked = claims.filter(({ check }) => check).length
  const count = (verdict: string): string => `${claims.filter((claim) => claim.verdict === verdict).length} ${verdict}`
  const summary = ['holds', 'imprecise', 'wrong', 'dated', 'open', 'opinion'].map(count).join(', ')
  return `${[
    '# The claims of the article',
    'Sebastian Raschka, *From GPT-2 to gpt-oss: Analyzing the Architectural Advances* (2025), read as statements that can be checked. The sentences are ours; the numbering follows the ' +
      `text. Of ${claims.length} claims ${checked} are checked by \`lineage verify\`, with the code that runs the models; the others say what deciding them would take. Verdicts: ${summary}. ` +
      '`node scripts/claims-page.ts` writes this page, and a test compares.',
    ...sections,
  ].join('\n\n')}\n`
}

if (import.meta.main) {
  writeFileSync(join(root, 'docs', 'claims.md'), await claimsPage())
  console.log('docs/claims.md')
}
