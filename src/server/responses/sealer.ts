/**
 * `encrypted_content`: reasoning that a client carries for us, so that any replica with the same secret can use it and nobody can
 * read or forge it. AES-GCM over version, tenant and text; what cannot be opened is ignored, because old keys are no error.
 */

const VERSION = 'lin1.'

export class Sealer {
  readonly #key: Promise<CryptoKey>

  /** @param secret shared by all replicas; a random one makes seals of this process only */
  constructor(secret: string = crypto.randomUUID() + crypto.randomUUID()) {
    this.#key = crypto.subtle
      .digest('SHA-256', new TextEncoder().encode(`lineage sealed reasoning ${secret}`))
      .then((bytes) => crypto.subtle.importKey('raw', bytes, 'AES-GCM', false, ['encrypt', 'decrypt']))
  }

  async seal(tenant: string, text: string): Promise<string> {
    const iv = crypto.getRandomValues(new Uint8Array(12))
    const sealed = new Uint8Array(
      await crypto.subtle.encrypt(this.#parameters(iv, tenant), await this.#key, new TextEncoder().encode(text)),
    )
    const bytes = new Uint8Array(12 + sealed.length)
    bytes.set(iv)
    bytes.set(sealed, 12)
    return VERSION + toBase64(bytes)
  }

  /** The text, or undefined when it was not sealed by us for this tenant. */
  async open(tenant: string, sealed: string): Promise<string | undefined> {
    if (!sealed.startsWith(VERSION)) return undefined
    try {
      const bytes = fromBase64(sealed.slice(VERSION.length))
      const plain = await crypto.subtle.decrypt(this.#parameters(bytes.subarray(0, 12), tenant), await this.#key, bytes.subarray(12))
      return new TextDecoder().decode(plain)
    } catch {
      return undefined
    }
  }

  #parameters(iv: Uint8Array<ArrayBuffer>, tenant: string): AesGcmParams {
    return { name: 'AES-GCM', iv, additionalData: new TextEncoder().encode(VERSION + tenant) }
  }
}

function toBase64(bytes: Uint8Array): string {
  let binary = ''
  for (const byte of bytes) binary += String.fromCharCode(byte)
  return btoa(binary)
}

function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0))
}
