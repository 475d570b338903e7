/** `lineage verify`: runs checks of the article's claims. */
import type { Command } from 'commander'
import { createReferenceBackend } from '../ops/reference/reference.ts'
import { claims, type Outcome, type Verdict, verify } from '../verify/verify.ts'
import { painter, type Style, UsageError } from './support/terminal.ts'

interface Options {
  json?: boolean
  all?: boolean
}

export function register(program: Command): void {
  program
    .command('verify')
    .description("The claims of the article 'From GPT-2 to gpt-oss' as checks: claim, expectation, measurement, verdict.")
    .argument('[claims...]', 'claims to check, e.g. C17 C42 F1 (default: all that can be checked here)')
    .option('--all', 'also list the claims that would take training, real weights or a citation')
    .option('--json', 'print everything as JSON')
    .addHelpText(
      'after',
      '\nExits with 1 when a measurement misses its expectation.\n\nExamples:\n  lineage verify\n  lineage verify C42 C44\n  lineage verify --all --json',
    )
    .action(async (ids: string[], options: Options) => {
      for (const id of ids)
        if (!claims.some((claim) => claim.id === id.toUpperCase()))
          throw new UsageError(`unknown claim "${id}"; expected C1 to C58, F1 or F2 (lineage verify --all lists them)`)
      const chosen = claims.filter(({ id, check }) =>
        ids.length ? ids.some((wanted) => wanted.toUpperCase() === id) : options.all || check,
      )
      const outcomes: Outcome[] = []
      for await (const outcome of verify(createReferenceBackend(), chosen)) {
        outcomes.push(outcome)
        if (!options.json) process.stdout.write(`${asText(outcome)}\n`)
      }
      const missed = outcomes.filter(({ agrees }) => agrees === false)
      const measured = outcomes.filter(({ agrees }) => agrees !== null)
      const count = outcomes.reduce((sum, { measurements }) => sum + measurements.length, 0)
      if (options.json) {
        const out = outcomes.map(({ claim: { check: _, ...claim }, ...rest }) => ({ ...claim, ...rest }))
        process.stdout.write(`${JSON.stringify(out, null, 2)}\n`)
      } else {
        const rest = options.all || ids.length ? '' : `; ${claims.length - outcomes.length} further claims are listed by --all`
        process.stdout.write(`${measured.length} claims checked with ${count} measurements, ${missed.length} missed${rest}\n`)
      }
      if (missed.length) process.exitCode = 1
    })
}

const STYLES: Record<Verdict, Style> = { holds: 'green', imprecise: 'yellow', wrong: 'red', dated: 'blue', open: 'cyan', opinion: 'cyan' }

function asText({ claim, measurements }: Outcome): string {
  const paint = painter()
  const width = Math.max(0, ...measurements.map(({ what }) => what.length))
  return [
    `${paint(claim.id.padEnd(4), 'bold')}${claim.says}`,
    ...measurements.map(({ what, expected, measured, agrees }) => {
      const detail = measured === expected ? measured : `${measured}, expected ${expected}`
      return `    ${agrees ? paint('✓', 'green') : paint('✗', 'red')} ${what.padEnd(width)}  ${detail}`
    }),
    ...(claim.instead ? [paint(`    – would take: ${claim.instead}`, 'dim')] : []),
    `    ${paint(claim.verdict, STYLES[claim.verdict], 'bold')}${claim.note ? `: ${claim.note}` : ''}`,
    '',
  ].join('\n')
}
