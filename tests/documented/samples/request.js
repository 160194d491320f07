var request = require('request');
var options = {
'method': 'POST',
'url': 'https://stablediffusionapi.com/api/v1/enterprise/text2video',
'headers': {
'Content-Type': 'application/json'
},
body: JSON.stringify({
"key": "",
"model_id": "model_id",
"prompt": "Girl smiling and sitting on bench, ultra HD video",
"negative_prompt": "Low Quality",
"width": "512",
"height": "512",
"scheduler": "UniPCMultistepScheduler",
"num_inference_steps": "30",
"enhance_prompt": "yes",
"guidance_scale": 7.5,
"strength": 0.7,
"seed": null,
"webhook": null,
"track_id": null
})
};
request(options, function (error, response) {
if (error) throw new Error(error);
console.log(response.body);
});
