/** `lineage remove`: deletes a model from the cache. */
import type { Command } from 'commander'
import { findPreset } from '../architecture/presets.ts'
import { checkModelId, lockPath, removeCachedModel } from '../hub/cache-node.ts'
import { hubCacheDirectory } from '../hub/environment-node.ts'
import { isLocked } from '../hub/lock-node.ts'
import { binary } from './support/terminal.ts'

export function register(program: Command): void {
  program
    .command('remove')
    .description(
      'Deletes every revision of a model, finished or not, from the cache (HF_HUB_CACHE, or hub/ in HF_HOME).\nOther tools that share the cache lose it too.',
    )
    .argument('<id>', 'model id as "lineage list" shows it')
    .addHelpText('after', '\nExample:\n  lineage remove openai/gpt-oss-20b')
    .action(async (name: string) => {
      const cache = hubCacheDirectory()
      const repositories = name.includes('/') ? [] : (findPreset(name)?.repositories ?? [])
      for (const id of [name, ...repositories]) {
        checkModelId(id)
        if (await isLocked(lockPath(cache, id))) throw new Error(`${id} is being pulled by another process. End that first.`)
        const freed = await removeCachedModel(id, cache)
        if (freed === undefined) continue
        process.stdout.write(`${id} removed, ${binary(freed)} freed\n`)
        return
      }
      throw new Error(`${name} is not in the cache (${cache}); "lineage list" shows the cached models.`)
    })
}
