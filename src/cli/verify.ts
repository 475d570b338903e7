/** `lineage verify`: runs checks of the article's claims (C1 to C58), or draws its figures (F1 to F24) from what this program computes. */
import { join } from 'node:path'
import type { Command } from 'commander'
import { OWN_SVG, writeOutput } from '../files/output-node.ts'
import { createBackend } from '../load-model-node.ts'
import { createReferenceBackend } from '../ops/reference/reference.ts'
import { experiments } from '../train/experiments.ts'
import { KINDS } from '../verify/claim.ts'
import { type DatedTimes, type Evidence, recorded, type Training } from '../verify/evidence.ts'
import { drawFigure, type Figure, figures } from '../verify/figures.ts'
import { measureTimes } from '../verify/times.ts'
import { claims, type Outcome, type Verdict, verify } from '../verify/verify.ts'
import { experimentTexts, trainExperiment } from './support/experiments.ts'
import { interruptSignal, parseCount } from './support/model.ts'
import { painter, type Style, UsageError } from './support/terminal.ts'

interface Options {
  json?: boolean
  all?: boolean
  out?: string
  figures?: string
  force?: boolean
  train?: boolean
  threads: number
}

export function register(program: Command): void {
  program
    .command('verify')
    .description("The claims of the article 'From GPT-2 to gpt-oss' as checks: claim, expectation, measurement, verdict.")
    .argument('[claims...]', 'claims to check, e.g. C17 C42 (default: all that are decided), or figures to draw, e.g. F7')
    .option('--all', 'all claims, also those that nothing decides')
    .option('--train', 'run the trainings of the chosen claims again instead of reading what was recorded (minutes each)')
    .option('--threads <n>', 'with --train: runs at a time', parseCount, 2)
    .option('--json', 'print everything as JSON')
    .option('--out <file>', 'where the SVG of one figure goes (default: standard output)')
    .option('--figures <directory>', 'draw the chosen figures, or all of them, into F1.svg, F2.svg, … of a directory that exists')
    .option('--force', 'replace files of another origin that are there')
    .addHelpText(
      'after',
      '\nExits with 1 when a measurement misses its expectation.\n\nExamples:\n  lineage verify\n  lineage verify C42 C44\n  lineage verify --train C7\n  lineage verify F7 --out f7.svg\n  lineage verify --all --json',
    )
    .action(async (ids: string[], options: Options) => {
      const drawn = chosenFigures(ids, options)
      if (drawn) return await draw(drawn, options)
      for (const id of ids)
        if (!claims.some((claim) => claim.id === id.toUpperCase()))
          throw new UsageError(`unknown claim "${id}"; expected C1 to C58 or F1 to F24 (lineage verify --all lists the claims)`)
      const chosen = claims.filter(({ id, check }) =>
        ids.length ? ids.some((wanted) => wanted.toUpperCase() === id) : options.all || check,
      )
      const outcomes: Outcome[] = []
      if (options.train && !chosen.some(({ experiments }) => experiments))
        throw new UsageError(
          `--train: none of ${chosen.map(({ id }) => id).join(', ')} rests on a training; those that do are ${claims
            .filter(({ experiments }) => experiments)
            .map(({ id }) => id)
            .join(', ')}`,
        )
      for await (const outcome of verify(createReferenceBackend(), chosen, await evidenceNow(options))) {
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

/** The figures that are asked for; undefined where the words ask for claims. */
function chosenFigures(ids: readonly string[], { out, figures: directory }: Options): Figure[] | undefined {
  const asked = ids.filter((id) => /^f\d+$/i.test(id))
  if (!asked.length && out === undefined && directory === undefined) return undefined
  const claim = ids.find((id) => !asked.includes(id))
  if (claim !== undefined)
    throw new UsageError(`expected figures alone, got ${ids.join(' ')}; claims such as ${claim} are checked, not drawn`)
  const chosen = (asked.length ? asked : figures.map(({ id }) => id)).map((id) => {
    const found = figures.find((figure) => figure.id === id.toUpperCase())
    if (!found) throw new UsageError(`unknown figure "${id}"; expected ${figures[0]!.id} to ${figures.at(-1)!.id}`)
    return found
  })
  if (out !== undefined && (asked.length !== 1 || directory !== undefined))
    throw new UsageError('--out takes one figure, such as lineage verify F7 --out f7.svg; --figures DIRECTORY draws several')
  return chosen
}

async function draw(chosen: readonly Figure[], { out, figures: directory, force, json }: Options): Promise<void> {
  const documents: object[] = []
  for (const figure of chosen) {
    const { id, title, describes, source } = figure
    const svg = await drawFigure(figure, createReferenceBackend())
    const file = out ?? (directory === undefined ? undefined : join(directory, `${id}.svg`))
    if (file !== undefined) await writeOutput(file, svg, { force, own: OWN_SVG })
    if (json) documents.push({ id, title, describes, source, file, svg: file === undefined ? svg : undefined })
    else process.stdout.write(file === undefined ? svg : `${file}\n`)
  }
  if (json) process.stdout.write(`${JSON.stringify(documents, null, 2)}\n`)
}

/** Times are taken now, once; trainings are read, or run now under --train, each once. */
async function evidenceNow({ train, threads }: Options): Promise<Evidence> {
  const date = new Date().toISOString().slice(0, 10)
  let times: DatedTimes | undefined
  const trained = new Map<string, Training>()
  const signal = train ? interruptSignal() : undefined
  const all = train ? experiments(experimentTexts()) : []
  return {
    async times() {
      if (times) return times
      const backend = await createBackend({ threads: 0 })
      times = { date, ...(await measureTimes(backend)) }
      await backend.dispose()
      return times
    },
    async training(name) {
      const before = await recorded.training(name)
      if (!train) return before
      const done = trained.get(name)
      if (done) return done
      const { scale, seeds } = before
      const runs = await trainExperiment(all.find((each) => each.name === name)!, { scale, seeds, threads, signal })
      const now = { ...before, date, runs }
      trained.set(name, now)
      return now
    },
  }
}

const STYLES: Record<Verdict, Style> = { holds: 'green', imprecise: 'yellow', wrong: 'red', dated: 'blue', open: 'cyan', opinion: 'cyan' }

function asText({ claim, measurements }: Outcome): string {
  const paint = painter()
  const width = Math.max(0, ...measurements.map(({ what }) => what.length))
  return [
    `${paint(claim.id.padEnd(4), 'bold')}${claim.says}`,
    ...measurements.flatMap(({ what, expected, measured, agrees, from }, i) => {
      const detail = measured === expected ? measured : `${measured}, expected ${expected}`
      const row = `    ${agrees ? paint('✓', 'green') : paint('✗', 'red')} ${what.padEnd(width)}  ${detail}`
      // Rows of one source stand together; it is named once, below the last.
      return from && from !== measurements[i + 1]?.from ? [row, paint(`      from ${from}`, 'dim')] : [row]
    }),
    ...(claim.instead ? [paint(`    – it would take ${claim.instead}`, 'dim')] : []),
    `    ${paint(claim.verdict, STYLES[claim.verdict], 'bold')} (${KINDS[claim.kind]})${claim.note ? `: ${claim.note}` : ''}`,
    '',
  ].join('\n')
}
