/* The sounds: two notes for a dialog, a softer one for a message. */

const LOUD = { notes: [[659, 0], [880, 0.14]], volume: 0.18 }; // each note is [hertz, seconds after the first]
const SOFT = { notes: [[523, 0]], volume: 0.06 };
const ATTACK = 0.015; // seconds
const DECAY = 0.4;
const LENGTH = 0.42;
const SILENCE = 0.0001; // an exponential ramp does not reach zero
const WAKE_WITHIN = 300; // milliseconds

let audio = null;

/** Whether this tab may sound: a browser lets a page do so once somebody has pressed something there. */
export async function canSound() {
  const Context = window.AudioContext || window.webkitAudioContext;
  if (!Context) return false;
  audio = audio || new Context();
  if (audio.state !== 'suspended') return true;
  await Promise.race([audio.resume(), new Promise((resolve) => setTimeout(resolve, WAKE_WITHIN))]);
  return audio.state !== 'suspended';
}

export function playSound(isSoft) {
  const { notes, volume } = isSoft ? SOFT : LOUD;
  notes.forEach(([pitch, after]) => playTone(pitch, after, volume));
}

function playTone(pitch, after, volume) {
  const at = audio.currentTime + after;
  const source = audio.createOscillator();
  const gain = audio.createGain();
  source.frequency.value = pitch;
  source.connect(gain);
  gain.connect(audio.destination);
  gain.gain.setValueAtTime(0, at);
  gain.gain.linearRampToValueAtTime(volume, at + ATTACK);
  gain.gain.exponentialRampToValueAtTime(SILENCE, at + DECAY);
  source.start(at);
  source.stop(at + LENGTH);
}
