// A 3D avatar (glTF, VRM) moved by the same 58 coefficients as the drawn face. three.js is loaded only here.

import { NAMES, bounded, clamp } from "./rig.js";

const PERFECT_SYNC = 40; // as model_file.py
const NECK = [0, -0.09, -0.09]; // of a head without bones, m from the middle between the eyes
const LEAST = 0.02; // any surprise above 0 may hold back a VRM's blink
const SOFTWARE = /swiftshader|llvmpipe|software|basic render/i;
const PLAIN = new Map(NAMES.slice(0, 52).map((name, i) => [name.toLowerCase(), i]));

/** Index of the coefficient that a morph target's name means, or -1; the rules of model_file.py. */
export function coefficient(name) {
  const tail = name.split(/[.:|/]/).at(-1).replace(/_(L|R)$/, (_, side) => ({ L: "Left", R: "Right" })[side]);
  const plain = tail.toLowerCase().replace(/[^a-z]/g, "");
  for (let at = 0; at < Math.min(plain.length, 24); at++) {
    const found = PLAIN.get(plain.slice(at));
    if (found !== undefined) return found;
  }
  return -1;
}

/** VRM's presets from coefficients by name; emotions sum to at most 1. */
export function presets(k) {
  const both = (stem) => (k[stem + "Left"] + k[stem + "Right"]) / 2;
  const smile = both("mouthSmile"), stretch = both("mouthStretch"), squint = both("eyeSquint");
  const ou = clamp(k.mouthPucker, 0, 1), oh = clamp(k.mouthFunnel, 0, 1), ih = clamp(stretch * (1 - k.jawOpen), 0, 1);
  const ee = clamp(Math.min(k.jawOpen, 0.3) * stretch + 0.3 * smile * k.jawOpen, 0, 1);
  const aa = clamp(1.3 * k.jawOpen - ou - oh - ih - ee, 0, 1);
  const happy = clamp(1.15 * (smile - 0.08) - 0.5 * aa, 0, 1);
  const lifted = (2 * k.browInnerUp + both("browOuterUp") * 2 + both("eyeWide") * 2) / 6;
  const emotions = {
    happy,
    sad: clamp(0.7 * both("mouthFrown") + 0.3 * k.browInnerUp, 0, 1),
    angry: clamp(both("browDown") * (1 - happy), 0, 1),
    surprised: clamp((lifted - 0.35) / 0.65, 0, 1) * (1 - happy),
    relaxed: clamp(squint + 0.3 * happy, 0, 0.4),
  };
  const sum = Object.values(emotions).reduce((a, b) => a + b, 0);
  if (sum > 1) for (const name of Object.keys(emotions)) emotions[name] /= sum;
  const lid = (side) => clamp(k["eyeBlink" + side] + 0.25 * k["eyeSquint" + side] - 0.6 * emotions.happy, 0, 1);
  return { ...emotions, aa, ou, oh, ee, ih, blinkLeft: lid("Left"), blinkRight: lid("Right") };
}

/** Where both eyes look: degrees to the face's own left and down. */
export function gaze(k) {
  const mean = (a, b) => (k[a] + k[b]) / 2;
  return {
    left: 30 * (mean("eyeLookOutLeft", "eyeLookInRight") - mean("eyeLookInLeft", "eyeLookOutRight")),
    down: 25 * (mean("eyeLookDownLeft", "eyeLookDownRight") - mean("eyeLookUpLeft", "eyeLookUpRight")),
  };
}

/** An avatar on a canvas. `Avatar.open(canvas, url)` resolves to one, or throws the sentence that says why not. */
export class Avatar {
  static async open(canvas, url) {
    const three = await import("./three/bundle.js");
    const probe = document.createElement("canvas").getContext("webgl2");
    if (!probe) throw new Error("This browser has no WebGL 2, so the drawn face replaces the avatar.");
    probe.getExtension("WEBGL_lose_context")?.loseContext();
    const loader = new three.GLTFLoader();
    loader.register((parser) => new three.VRMLoaderPlugin(parser));
    let gltf;
    try {
      gltf = await loader.loadAsync(url);
    } catch (error) {
      throw new Error(`The avatar cannot be loaded (${String(error.message ?? error).slice(0, 120)}): the drawn face replaces it.`);
    }
    return new Avatar(three, canvas, gltf);
  }

  constructor(three, canvas, gltf) {
    this.three = three;
    this.canvas = canvas;
    this.vrm = gltf.userData.vrm ?? null;
    this.values = new Float32Array(58);
    this.renderer = new three.WebGLRenderer({ canvas, antialias: true, alpha: true, powerPreference: "high-performance" });
    const gl = this.renderer.getContext(), info = gl.getExtension("WEBGL_debug_renderer_info");
    this.software = SOFTWARE.test(String(gl.getParameter(info ? info.UNMASKED_RENDERER_WEBGL : gl.RENDERER)));
    this.scene = new three.Scene();
    const light = new three.DirectionalLight(0xffffff, 2.2);
    light.position.set(0.6, 1.2, 2);
    this.scene.add(light, new three.AmbientLight(0xffffff, 1.3));
    this.body = new three.Group();
    this.body.add(gltf.scene);
    this.scene.add(this.body);
    if (this.vrm) three.VRMUtils.rotateVRM0(this.vrm);
    if (this.software) this._plain();
    this._find(gltf.scene);
    this._frame(gltf.scene);
  }

  /** Materials that software draws in a third of the time. */
  _plain() {
    this.scene.traverse((mesh) => {
      if (!mesh.isMesh) return;
      const plain = (m) => new this.three.MeshLambertMaterial({
        color: m.color ?? 0xffffff, map: m.map ?? null, vertexColors: m.vertexColors, transparent: m.transparent,
        opacity: m.opacity, alphaTest: m.alphaTest, side: m.side,
      });
      mesh.material = Array.isArray(mesh.material) ? mesh.material.map(plain) : plain(mesh.material);
    });
  }

  _find(root) {
    const manager = this.vrm?.expressionManager;
    this.custom = new Map();
    this.morphs = [];
    for (const name of Object.keys(manager?.customExpressionMap ?? {})) {
      const i = coefficient(name);
      if (i >= 0) this.custom.set(name, i);
    }
    this.byPresets = Boolean(this.vrm) && this.custom.size < PERFECT_SYNC;
    this.moved = new Set(this.custom.values());
    root.traverse((mesh) => {
      mesh.frustumCulled = false; // morphs leave the box of the mesh
      if (this.vrm || !mesh.morphTargetDictionary) return;
      for (const [name, place] of Object.entries(mesh.morphTargetDictionary)) {
        const i = coefficient(name);
        if (i >= 0) this.morphs.push([mesh.morphTargetInfluences, place, i]), this.moved.add(i);
      }
    });
    const bone = (name) => this.vrm?.humanoid?.getNormalizedBoneNode(name) ?? null;
    const named = (name) => this.vrm ? bone(name) : this._bone(root, name);
    [this.head, this.neck] = [named("head"), named("neck")];
    root.updateMatrixWorld(true);
    this.rest = new Map();
    for (const node of [this.head, this.neck].filter(Boolean)) {
      const outer = new this.three.Quaternion();
      node.parent.getWorldQuaternion(outer);
      this.rest.set(node, { own: node.quaternion.clone(), outer, back: outer.clone().invert() });
    }
  }

  _bone(root, name) {
    let found = null;
    root.traverse((node) => {
      if (!found && node.isBone && new RegExp(`(^|[^a-z])${name}$`, "i").test(node.name)) found = node;
    });
    return found;
  }

  /** Head and neck fill the picture; a head without bones turns about its neck. */
  _frame(root) {
    const { Box3, Vector3, PerspectiveCamera } = this.three;
    this.scene.updateMatrixWorld(true);
    const box = new Box3().setFromObject(root);
    let middle = box.getCenter(new Vector3()), height = box.max.y - box.min.y;
    const bone = this.vrm?.humanoid?.getRawBoneNode("head") ?? this.head;
    if (bone) {
      const at = bone.getWorldPosition(new Vector3());
      height = clamp(box.max.y - at.y, 0.05, height) * 1.25;
      middle = new Vector3(at.x, at.y + height * 0.36, at.z);
    } else if (height > 3 * (box.max.x - box.min.x)) {
      height = box.max.x - box.min.x;
      middle.y = box.max.y - height / 2;
    }
    this.size = height;
    if (!bone) {
      const pivot = new Vector3(...NECK).multiplyScalar(height / 0.24).add(middle);
      root.position.sub(pivot);
      this.body.position.copy(pivot);
    }
    this.camera = new PerspectiveCamera(20, 1, height / 10, height * 40);
    this.middle = middle;
    this.base = this.body.position.clone();
  }

  _resize() {
    const scale = this.software ? 0.5 : Math.min(devicePixelRatio, 2);
    const [width, height] = [Math.max(1, this.canvas.clientWidth), Math.max(1, this.canvas.clientHeight)];
    if (this.width === width && this.height === height) return;
    [this.width, this.height] = [width, height];
    this.renderer.setPixelRatio(scale);
    this.renderer.setSize(width, height, false);
    this.camera.aspect = width / height;
    const across = Math.min(1, this.camera.aspect / 0.85);
    const distance = (this.size * 0.75) / Math.tan((this.camera.fov * Math.PI) / 360) / across;
    this.camera.position.set(this.middle.x, this.middle.y, this.middle.z + distance);
    this.camera.lookAt(this.middle);
    this.camera.updateProjectionMatrix();
  }

  /** Show these 58 coefficients at a time in s. */
  draw(values, time) {
    const step = clamp(time - (this.time ?? time), 0, 0.1);
    this.time = time;
    const k = {};
    NAMES.forEach((name, i) => { this.values[i] = k[name] = bounded(values, i); });
    for (const [weights, place, i] of this.morphs) weights[place] = this.values[i];
    const manager = this.vrm?.expressionManager;
    for (const [name, i] of this.custom) manager.setValue(name, this.values[i]);
    if (this.byPresets) {
      const wanted = presets(k);
      this.smooth ??= wanted;
      for (const name of Object.keys(wanted)) {
        this.smooth[name] += (wanted[name] - this.smooth[name]) * (1 - Math.exp(-step / 0.06));
        manager?.setValue(name, this.smooth[name] < LEAST ? 0 : this.smooth[name]);
      }
      if (this.vrm.lookAt) {
        const { left, down } = gaze(k);
        this.vrm.lookAt.autoUpdate = false;
        [this.vrm.lookAt.yaw, this.vrm.lookAt.pitch] = [left, down];
      }
    }
    this._turn(k.headPitch, k.headYaw, k.headRoll);
    this.body.position.set(this.base.x + k.headX, this.base.y + k.headY, this.base.z + k.headZ);
    this.vrm?.update(step);
    this._resize();
    this.renderer.render(this.scene, this.camera);
  }

  /** Down, to the own left and to the own right shoulder's side, as ARKit's angles: roll, then pitch, then yaw. */
  _turn(pitch, yaw, roll) {
    const parts = this.neck && this.head ? [[this.neck, 0.4], [this.head, 0.6]] : [[this.head ?? this.body, 1]];
    for (const [node, share] of parts) {
      node.rotation.order = "YXZ";
      node.rotation.set(pitch * share, yaw * share, roll * share);
      const rest = this.rest.get(node); // a bone's own axes are not the world's
      if (rest) node.quaternion.premultiply(rest.back).multiply(rest.outer).multiply(rest.own);
    }
  }

  /** What is drawn, for tests. */
  measure() {
    return { software: this.software, moved: this.moved.size, presets: this.byPresets, size: [this.canvas.width, this.canvas.height] };
  }

  close() {
    this.renderer.dispose();
    this.renderer.forceContextLoss();
  }
}
