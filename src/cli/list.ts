/** `lineage list`: the models in the cache, whoever downloaded them. */
import type { Command } from 'commander'
import { type CachedModel, listCachedModels } from '../hub/cache-node.ts'
import { hubCacheDirectory } from '../hub/environment-node.ts'
import { binary, type Cell, painter, table } from './support/terminal.ts'

export function register(program: Command): void {
  program
    .command('list')
    .description('Lists the models in the cache (HF_HUB_CACHE, or hub/ in HF_HOME), also those that other tools downloaded.')
    .option('--json', 'print everything as JSON')
    .addHelpText('after', '\nExamples:\n  lineage list\n  lineage list --json')
    .action(async (options: { json?: boolean }) => {
      const models = await listCachedModels()
      if (options.json) process.stdout.write(`${JSON.stringify(models, null, 2)}\n`)
      else if (models.length > 0) process.stdout.write(`${modelTable(models)}\n`)
      else process.stderr.write(`no models in ${hubCacheDirectory()}; "lineage pull ID" brings one\n`)
    })
}

function modelTable(models: readonly CachedModel[]): string {
  const paint = painter()
  const head: Cell[] = ['model', 'size', 'state', 'revision', 'changed'].map((text) => ({ text, styles: ['dim'] }))
  const rows = models.map(({ id, bytes, state, revisions, modified }): (string | Cell)[] => [
    { text: id, styles: state === 'complete' ? ['bold'] : [] },
    binary(bytes),
    { text: state, styles: state === 'complete' ? ['green'] : state === 'incomplete' ? ['yellow'] : ['dim'] },
    revisions[0] ? `${revisions[0].refs[0] ?? ''} ${revisions[0].commit.slice(0, 8)}`.trim() : '–',
    modified ? modified.toISOString().slice(0, 10) : '–',
  ])
  return table([head, ...rows], paint, [false, true, false, false, false])
}
