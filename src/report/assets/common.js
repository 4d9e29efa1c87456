const $=(s,e=document)=>e.querySelector(s),$$=(s,e=document)=>[...e.querySelectorAll(s)];
const esc=s=>String(s).replace(/[&<>"']/g,c=>({'&':'&amp;','<':'&lt;','>':'&gt;','"':'&quot;',"'":'&#39;'}[c]));
const clamp=(x,a,b)=>Math.max(a,Math.min(b,x));
const fmt=n=>n.toLocaleString('en').replace(/,/g,'\u202f');
const media=matchMedia('(prefers-color-scheme:dark)'),themeCbs=[];
function theme(v){document.documentElement.style.colorScheme=v==='auto'?'':v;try{localStorage.schismTheme=v}catch{}const b=$('#theme');if(b){b.dataset.v=v;b.textContent={auto:'Auto',light:'Light',dark:'Dark'}[v];b.setAttribute('aria-label','Colour scheme: '+v)}themeCbs.forEach(f=>f())}
{let v='auto';try{v=localStorage.schismTheme||'auto'}catch{}const b=$('#theme');if(b)b.onclick=()=>theme({auto:'light',light:'dark',dark:'auto'}[b.dataset.v||'auto']);theme(['light','dark'].includes(v)?v:'auto');media.addEventListener('change',()=>themeCbs.forEach(f=>f()))}
