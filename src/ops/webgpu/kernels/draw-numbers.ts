/**
 * WGSL of the arithmetic of a draw: logits as integer keys, e^x, the waiting time of the race, the hash of ids, and numbers of 64 bits,
 * which WGSL does not have. e^x and the logarithm are series, because the errors of the built-in functions differ from device to device.
 */
export const DRAW_NUMBERS = `
/** A number whose order is that of the logits; 0 for -Infinity and what is no number, which are never drawn. */
fn keyOf(bits: u32) -> u32 {
  let magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u || bits == 0xff800000u) { return 0u; }
  if (magnitude == 0u) { return 0x80000000u; }
  return select(bits | 0x80000000u, ~bits, bits > 0x7fffffffu);
}
fn logitOf(key: u32) -> f32 { return bitcast<f32>(select(~key, key & 0x7fffffffu, key > 0x7fffffffu)); }

/** e^x for -64 <= x <= 0 to 1e-7; the built-in function may be off by a hundred times that. */
fn exponential(x: f32) -> f32 {
  let k = round(x * 1.4426950408889634);
  let t = (x - k * 0.693359375) + k * 2.12194440e-4;
  let p = 1.0 + t * (1.0 + t * (0.5 + t * (0.16666667 + t * (0.041666668 + t * (0.008333334 + t * 0.0013888889)))));
  return p * bitcast<f32>(u32(i32(k) + 127) << 23u);
}

/** -ln((bits + 0.5) / 2^32), to 3e-7 of itself also where it is small. */
fn waiting(bits: u32) -> f32 {
  if (bits >= 0xb504f334u) {
    let w = (f32(~bits) + 0.5) * 2.3283064365386963e-10;
    return series(w / (2.0 - w));
  }
  let u = f32(bits) + 0.5;
  let exponent = (bitcast<u32>(u * 1.4142135) >> 23u) - 127u;
  let m = u * bitcast<f32>((127u - exponent) << 23u);
  return f32(32u - exponent) * 0.6931471805599453 + series((1.0 - m) / (1.0 + m));
}
/** ln((1 + s) / (1 - s)) for |s| < 0.18. */
fn series(s: f32) -> f32 {
  let q = s * s;
  return 2.0 * s * (1.0 + q * (0.33333334 + q * (0.2 + q * (0.14285715 + q * (0.11111111 + q * 0.09090909)))));
}

fn hash(seed: u32, id: u32) -> u32 {
  var x = (id ^ (id >> 16u)) * 0x7feb352du;
  x = (x ^ (x >> 15u)) * 0x846ca68bu;
  x ^= (x >> 16u) ^ seed;
  x = (x ^ (x >> 16u)) * 0x7feb352du;
  x = (x ^ (x >> 15u)) * 0x846ca68bu;
  return x ^ (x >> 16u);
}

// Numbers of 64 bits are (low, high).
fn add(a: vec2u, b: vec2u) -> vec2u { let low = a.x + b.x; return vec2u(low, a.y + b.y + select(0u, 1u, low < a.x)); }
fn subtract(a: vec2u, b: vec2u) -> vec2u { return vec2u(a.x - b.x, a.y - b.y - select(0u, 1u, a.x < b.x)); }
fn less(a: vec2u, b: vec2u) -> bool { return a.y < b.y || (a.y == b.y && a.x < b.x); }
fn product(a: u32, b: u32) -> vec2u {
  let low = (a & 0xffffu) * (b & 0xffffu);
  let middle = (a >> 16u) * (b & 0xffffu) + (low >> 16u);
  let other = (a & 0xffffu) * (b >> 16u) + (middle & 0xffffu);
  return vec2u((other << 16u) | (low & 0xffffu), (a >> 16u) * (b >> 16u) + (middle >> 16u) + (other >> 16u));
}
fn times(a: vec2u, n: u32) -> vec2u { let low = product(a.x, n); return vec2u(low.x, low.y + a.y * n); }
/** a · share / 2^32, rounded up. */
fn shareOf(a: vec2u, share: u32) -> vec2u {
  let low = product(a.x, share);
  return add(add(product(a.y, share), vec2u(low.y, 0u)), vec2u(select(0u, 1u, low.x != 0u), 0u));
}
/** The weight e^-distance in units of 2^-40. */
fn weightOf(distance: f32) -> vec2u {
  let scaled = exponential(-distance) * 256.0;
  let high = floor(scaled);
  return vec2u(u32((scaled - high) * 4294967296.0), u32(high));
}
`
