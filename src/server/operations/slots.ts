/**
 * llama-server's /slots: the slots of the loaded models, never prompts; and a slot's conversation saved to a file, restored, erased. Files
 * are named, never placed, by requests, and each key has its own.
 */
import { BusyError, SlotError, type SlotOptions, type SlotResult, type SlotSource } from '../../engine/engine.ts'
import { readBody } from '../http/body.ts'
import type { Scope, ServerContext } from '../http/context.ts'
import { ApiError, badRequest, notFound, overloaded, quote } from '../http/errors.ts'
import type { ServedModel } from '../models/model.ts'
import { withModel } from '../run.ts'
import { slotRequest } from '../schemas/llama.ts'

/** Where conversations are kept, by key and name. The composition supplies it; without it they cannot be saved. */
export interface SlotFiles {
  /** Makes or replaces a file, whole or not at all. */
  write(key: string, name: string, fill: (write: (bytes: Uint8Array) => Promise<void>) => Promise<SlotResult>): Promise<SlotResult>
  open(key: string, name: string): Promise<(SlotSource & { close(): Promise<void> }) | undefined>
}

export function listSlots(ctx: ServerContext, { tenant }: Scope, request: Request): Response {
  const rows = ctx.registry.list().flatMap(({ entry, model }) => {
    if (!model) return []
    return statesOf(model, tenant).map(({ slot, busy, positions, lastUsed }) => ({
      id: slot,
      model: entry.id,
      n_ctx: model.engine.context,
      is_processing: busy,
      n_past: positions ?? null, // of other keys nothing is told
      last_used: lastUsed,
    }))
  })
  if (new URL(request.url).searchParams.get('fail_on_no_slot') === '1' && rows.length > 0 && rows.every((row) => row.is_processing))
    throw overloaded('No slot is free.', ctx.admission.retryAfterSeconds(), 'no_slot')
  return Response.json(rows)
}

function statesOf({ engine }: ServedModel, key: string) {
  if (engine.slots) return engine.slots.list(key)
  const { slots, running } = engine.load()
  return Array.from({ length: slots }, (_, slot) => ({ slot, busy: slot < running, positions: undefined, lastUsed: 0 }))
}

/** POST /slots/{id}?action=save|restore|erase; an id of -1 is the slot that the key used last, or to restore any free one. */
export async function changeSlot(
  ctx: ServerContext,
  scope: Scope,
  request: Request,
  { id = '' }: Record<string, string>,
): Promise<Response> {
  const { searchParams } = new URL(request.url)
  const action = searchParams.get('action')
  if (!/^(-1|\d{1,6})$/.test(id)) throw badRequest(`The slot ${quote(id)} is no number; GET /slots lists the slots.`, 'id')
  const options: SlotOptions = { slot: id === '-1' ? undefined : Number(id), cacheKey: scope.tenant }
  if (action === 'erase') {
    return onSlots(ctx, scope, searchParams.get('model'), async ({ erase }) => {
      const { slot, positions } = await erase(options)
      return { id_slot: slot, n_erased: positions }
    })
  }
  if (action !== 'save' && action !== 'restore') throw badRequest('action: expected save, restore or erase.', 'action')
  const body = await readBody(ctx, scope, request, slotRequest)
  const files = filesOf(ctx)
  const name = fileName(body.filename)
  const started = performance.now()
  const took = () => Math.round((performance.now() - started) * 1000) / 1000
  return onSlots(ctx, scope, body.model ?? searchParams.get('model'), async ({ save, restore }) => {
    if (action === 'save') {
      const { slot, positions, bytes } = await files.write(scope.tenant, name, (write) => save(write, options))
      return { id_slot: slot, filename: name, n_saved: positions, n_written: bytes, timings: { save_ms: took() } }
    }
    const source = await files.open(scope.tenant, name)
    if (!source) throw notFound(`No conversation is saved as ${quote(name)}.`, 'slot_file_not_found', 'filename')
    try {
      const { slot, positions, bytes } = await restore(source, options)
      return { id_slot: slot, filename: name, n_restored: positions, n_read: bytes, timings: { restore_ms: took() } }
    } finally {
      await source.close()
    }
  })
}

function onSlots(
  ctx: ServerContext,
  scope: Scope,
  model: string | null | undefined,
  use: (slots: NonNullable<ServedModel['engine']['slots']>) => Promise<object>,
): Promise<Response> {
  return withModel(ctx, scope, model, async (lease) => {
    const { slots, load } = lease.model.engine
    if (!slots) throw badRequest('The slots of this model cannot be changed.', 'model', 'not_supported')
    try {
      return Response.json(await use(slots))
    } catch (error) {
      if (error instanceof BusyError) throw overloaded(sentence(error), ctx.admission.retryAfterSeconds(load()), 'slot_busy')
      if (error instanceof SlotError) throw badRequest(sentence(error), null, 'slot_error')
      if (error instanceof RangeError) throw badRequest(sentence(error), 'id')
      throw error
    }
  })
}

const sentence = ({ message }: Error): string => `${message[0]!.toUpperCase()}${message.slice(1)}.`

function filesOf({ slotFiles }: ServerContext): SlotFiles {
  if (slotFiles) return slotFiles
  throw new ApiError(403, 'permission_error', 'Conversations are not saved here. Start the server with --slot-save-path DIR.', {
    code: 'slots_not_saved',
  })
}

/** Names of devices on Windows, whatever their ending. */
const DEVICE = /^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i

/** A plain name on every file system: no path, no hidden or temporary file. */
function fileName(name: string): string {
  if (/^\w([\w.-]{0,126}\w)?$/.test(name) && !name.includes('..') && !name.endsWith('.tmp') && !DEVICE.test(name)) return name
  throw badRequest('filename: expected a name of at most 128 letters, digits, dots, dashes and underscores, without a path.', 'filename')
}
