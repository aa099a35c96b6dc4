/**
 * The noise of PyTorch's generator on a CPU: the same seed gives the same numbers, up to the last bits of a float32, in
 * which PyTorch's own builds differ from each other too.
 */

const N = 624;
const M = 397;
/** From so many numbers on, PyTorch makes them in blocks of this size. */
const BLOCK = 16;

/** The Mersenne Twister MT19937. */
class MersenneTwister {
  private readonly state = new Uint32Array(N);
  private next = N;

  constructor(seed: number) {
    const { state } = this;
    state[0] = seed;
    for (let i = 1; i < N; i++) {
      const last = state[i - 1] as number;
      state[i] = Math.imul(1812433253, last ^ (last >>> 30)) + i;
    }
  }

  /** The next whole number, 0..2^32 - 1. */
  random(): number {
    if (this.next === N) this.twist();
    let y = this.state[this.next++] as number;
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }

  private twist(): void {
    const { state } = this;
    for (let i = 0; i < N; i++) {
      const y = ((state[i] as number) & 0x80000000) | ((state[(i + 1) % N] as number) & 0x7fffffff);
      state[i] = (state[(i + M) % N] as number) ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
    }
    this.next = 0;
  }
}

/** `torch.Generator("cpu").manual_seed(seed)`, as far as `torch.randn` in float32 uses it. */
export class Generator {
  private readonly twister: MersenneTwister;
  /** The second number of a pair that was made for an odd count of fewer than 16. */
  private kept: number | null = null;

  /** `seed`: 0..2^63 - 1. PyTorch uses its lowest 32 bits. */
  constructor(seed: bigint) {
    this.twister = new MersenneTwister(Number(BigInt.asUintN(32, seed)));
  }

  /** `torch.randn(n, generator=...)` in float32. */
  randn(n: number): Float32Array<ArrayBuffer> {
    const noise = new Float32Array(n);
    if (n < BLOCK) for (let i = 0; i < n; i++) noise[i] = this.single();
    else {
      for (let i = 0; i < n; i++) noise[i] = this.uniform();
      for (let i = 0; i + BLOCK <= n; i += BLOCK) normalize(noise, i);
      // The last 16 are made anew, whatever of them lies in a whole block.
      if (n % BLOCK) {
        for (let i = n - BLOCK; i < n; i++) noise[i] = this.uniform();
        normalize(noise, n - BLOCK);
      }
    }
    return noise;
  }

  /** 24 bits, 0 <= number < 1. */
  private uniform(): number {
    return (this.twister.random() & 0xffffff) / 2 ** 24;
  }

  /** 53 bits, 0 <= number < 1. */
  private uniform53(): number {
    const high = this.twister.random() & 0x1fffff;
    return (high * 2 ** 32 + this.twister.random()) / 2 ** 53;
  }

  private single(): number {
    if (this.kept !== null) {
      const kept = this.kept;
      this.kept = null;
      return kept;
    }
    const angle = 2 * Math.PI * this.uniform53();
    const radius = Math.sqrt(-2 * Math.log1p(-this.uniform53()));
    this.kept = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }
}

/** The method of Box and Muller in a block of 16: uniform numbers become normal ones. */
function normalize(numbers: Float32Array, start: number): void {
  for (let i = start; i < start + BLOCK / 2; i++) {
    const j = i + BLOCK / 2;
    const radius = Math.sqrt(-2 * Math.log(1 - (numbers[i] as number)));
    const angle = TWO_PI * (numbers[j] as number);
    numbers[i] = radius * Math.cos(angle);
    numbers[j] = radius * Math.sin(angle);
  }
}

const TWO_PI = 2 * Math.PI;
