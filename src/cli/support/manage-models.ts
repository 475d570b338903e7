/** The models of this machine's cache as requests may change them, for `lineage serve --manage-models`. */
import { findPreset, unpublished } from '../../architecture/presets.ts'
import { checkModelId, lockPath, removeCachedModel } from '../../hub/cache-node.ts'
import { hubCacheDirectory } from '../../hub/environment-node.ts'
import { type PullEvent, pull } from '../../hub/hub-node.ts'
import { isLocked } from '../../hub/lock-node.ts'
import { checkModel } from '../../load-model.ts'
import type { ModelManager } from '../../server/models/manage.ts'
import type { RunOptions } from './model.ts'
import { type Purposes, servedEntries } from './served-entry.ts'

export function cacheManager(options: RunOptions & Purposes & { parallel: number }): ModelManager {
  return {
    async pull(name, onBytes, signal) {
      const never = unpublished(name)
      if (never) throw new Error(never)
      const id = checkModelId(name.includes('/') ? name : (findPreset(name)?.repositories[0] ?? name))
      let total = 0
      const onEvent = (event: PullEvent) => {
        if (event.kind === 'plan') total = event.totalBytes
        else if (event.kind === 'progress') onBytes(event.allBytes, total)
      }
      await pull(id, { check: checkModel, signal, onEvent })
      return servedEntries(id, { ...options, adapter: undefined })
    },
    async remove(name) {
      const cache = hubCacheDirectory()
      if (await isLocked(lockPath(cache, checkModelId(name)))) throw new Error(`${name} is being pulled by another process`)
      if ((await removeCachedModel(name, cache)) === undefined) throw new Error(`${name} is not in the cache`)
    },
  }
}
