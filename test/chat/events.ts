/** Checks that hold for every stream of events, and a short text form of one for comparisons. */
import assert from 'node:assert/strict'
import type { ChatEvent } from '../../src/chat/messages.ts'

export function checkEvents(events: readonly ChatEvent[]): void {
  let open: { kind: string; text: string; key: string } | undefined
  for (const event of events) {
    const [kind, step] = [event.type.slice(0, event.type.lastIndexOf('-')), event.type.slice(event.type.lastIndexOf('-') + 1)]
    const key = 'phase' in event ? event.phase : 'id' in event ? String(event.id) : ''
    if (step === 'start') {
      assert.equal(open, undefined, `${event.type} inside ${open?.kind}`)
      open = { kind, text: '', key }
    } else if (step === 'delta') {
      const delta = event.type === 'tool-call-delta' ? event.argumentsDelta : 'delta' in event ? event.delta : ''
      assert.ok(delta.length > 0, `empty ${event.type}`)
      assert.deepEqual([open?.kind, open?.key], [kind, key], `${event.type} outside its part`)
      open!.text += delta
    } else if (step === 'end') {
      assert.deepEqual([open?.kind, open?.key], [kind, key], `${event.type} without its start`)
      assert.equal(event.type === 'tool-call-end' ? event.arguments : 'text' in event ? event.text : '', open!.text)
      open = undefined
    }
  }
  assert.equal(open, undefined, `${open?.kind} was never closed`)
}

/** `text: …`, `commentary: …`, `reasoning: …`, `call NAME: …`, `! warning`, in order of their ends. */
export function summary(events: readonly ChatEvent[]): string[] {
  return events.flatMap((event) => {
    if (event.type === 'reasoning-end') return [`reasoning: ${event.text}`]
    if (event.type === 'text-end') return [`${event.phase === 'final' ? 'text' : 'commentary'}: ${event.text}`]
    if (event.type === 'tool-call-end') return [`call ${event.name}: ${event.arguments}`]
    if (event.type === 'tool-result') return [`result ${event.name}: ${event.content}`]
    if (event.type === 'warning') return [`! ${event.code}`]
    return []
  })
}
