// Runs where the browser hears: int16 mono in chunks of 20 ms.

class Chunks extends AudioWorkletProcessor {
  constructor() {
    super();
    this.chunk = new Int16Array(Math.round(sampleRate / 50));
    this.filled = 0;
  }

  process([channels]) {
    const count = channels[0]?.length ?? 0;
    for (let i = 0; i < count; i++) {
      let v = 0;
      for (const channel of channels) v += channel[i] / channels.length;
      this.chunk[this.filled++] = Math.max(-32768, Math.min(32767, Math.round(v * 32767)));
      if (this.filled === this.chunk.length) {
        const { buffer } = this.chunk;
        this.chunk = new Int16Array(this.chunk.length);
        this.filled = 0;
        this.port.postMessage(buffer, [buffer]);
      }
    }
    return true;
  }
}

registerProcessor("capture", Chunks);
